"""Taking up a run that has ended early: one row for each file, and nothing mixed."""

from __future__ import annotations

import fcntl
import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import csv_rows, folder_of, image, intensity, json_rows, started, sums, until

SUFFIXES = [".csv", ".jsonl"]


def rows_of(file: Path) -> list[dict[str, str]]:
    return csv_rows(file.read_text()) if file.suffix == ".csv" else json_rows(file.read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "images", 12)


@pytest.mark.parametrize(("suffix", "detail"), [(".csv", []), (".jsonl", ["--detail", "full"])])
def test_a_run_that_was_cut_anywhere_is_completed_to_the_same_file(
    tmp_path: Path, folder: Path, suffix: str, detail: list[str]
) -> None:
    file = tmp_path / f"results{suffix}"
    assert intensity(folder, "-o", file, *detail).returncode == 0
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for left in (0, 10, len(lines[0]), len(lines[0]) + 1, len(whole) // 2, len(whole) - 1, len(whole)):
        file.write_bytes(whole[:left])
        result = intensity(folder, "-o", file, "--resume", *detail)
        assert (result.returncode, file.read_bytes()) == (0, whole), left
        assert result.stderr.startswith("12 files: 12 measured")


def test_a_file_with_results_is_not_overwritten_by_mistake(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "results.csv"
    file.touch()
    assert intensity(folder, "-o", file).returncode == 0
    before = file.read_bytes()
    result = intensity(folder, "-o", file)
    assert (result.returncode, file.read_bytes()) == (2, before)
    assert result.stderr == f"intensity: {file} exists: --resume continues it, --force overwrites it\n"
    assert intensity(folder / "0000.png", "-o", file, "--force").returncode == 0
    assert len(rows_of(file)) == 1


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_what_another_run_has_written_while_this_one_listed_stays(tmp_path: Path, folder: Path, suffix: str) -> None:
    file = tmp_path / f"results{suffix}"
    with started("-", "-o", file, stdin=subprocess.PIPE) as late:
        assert late.stdin
        # It has looked at the file once it reads names.
        until(lambda: blocked(late.pid), late)
        assert intensity(folder, "-o", file).returncode == 0
        before = file.read_bytes()
        _, messages = late.communicate(str(folder / "0000.png"), timeout=60)
    assert (late.returncode, file.read_bytes()) == (2, before)
    assert messages == f"intensity: {file} exists: --resume continues it, --force overwrites it\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", file.name]


def blocked(pid: int) -> bool:
    """Whether a process waits for its standard input."""
    return Path(f"/proc/{pid}/syscall").read_text().startswith("0 0x0 ")


@pytest.mark.parametrize(
    ("suffix", "first", "second", "sentence"),
    [
        (".csv", ["--luma", "mean"], [], "luma mean (this run: bt601)"),
        (".jsonl", [], ["--alpha", "black"], "alpha ignore (this run: black)"),
        (".jsonl", ["--region", "0,0,2,3"], [], "region 0,0,2,3 (this run: none)"),
        (".csv", [], ["--region", "0,0,2,3"], "region none (this run: 0,0,2,3)"),
        (".csv", ["--region", "0,0,2,3"], ["--region", "0,0,3,2"], "region 0,0,2,3 (this run: 0,0,3,2)"),
        (".csv", ["--detail", "full"], [], "with --detail full"),
        (".jsonl", ["--detail", "full"], [], "with --detail full"),
        (".csv", [], ["--detail", "full"], "without --detail full"),
        (".jsonl", [], ["--detail", "full"], "without --detail full"),
    ],
)
def test_rows_of_other_options_are_never_mixed(
    tmp_path: Path, suffix: str, first: list[str], second: list[str], sentence: str
) -> None:
    folder, file = folder_of(tmp_path / "images", 2), tmp_path / f"results{suffix}"
    intensity(folder / "0000.png", "-o", file, *first)
    before = file.read_bytes()
    result = intensity(folder, "-o", file, "--resume", *second)
    assert (result.returncode, file.read_bytes()) == (2, before)
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_of_other_decoders_are_never_mixed(tmp_path: Path, folder: Path, suffix: str) -> None:
    file = tmp_path / f"results{suffix}"
    intensity(folder / "0000.png", "-o", file)
    file.write_text(file.read_text().replace("+pillow-", "+pillow-0."))
    result = intensity(folder, "-o", file, "--resume")
    assert result.returncode == 2
    assert "measured with version" in result.stderr
    assert len(rows_of(file)) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "path,code\nx,\n"),
        ("a.csv", "{}\n"),
        ("a.jsonl", "path,average_intensity\n"),
        ("a.jsonl", "[]\n"),
        ("a.jsonl", '{"path": "a.png"}\n'),
        ("a.jsonl", "\0\0\0\n"),
        ("a.jsonl", "\udc80\n"),
    ],
)
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, folder: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode(errors="surrogateescape"))
    result = intensity(folder, "-o", file, "--resume")
    assert (result.returncode, file.read_bytes()) == (2, content.encode(errors="surrogateescape"))
    assert f"cannot resume {file}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_problems_are_kept_by_resume_and_measured_again_on_request(tmp_path: Path, folder: Path, suffix: str) -> None:
    file, mended = tmp_path / f"results{suffix}", folder / "0005.png"
    mended.write_bytes(b"")
    (folder / "text.png").write_text("text")
    assert intensity(folder, "-o", file).returncode == 1
    mended.write_bytes(image(5))
    kept = intensity(folder, "-o", file, "--resume")
    assert sums(kept.stderr).startswith("13 files: 11 measured (11 of them before); 2 without a number: ")
    assert kept.returncode == 1
    again = intensity(folder, "-o", file, "--retry-problems")
    assert sums(again.stderr).startswith("13 files: 12 measured (11 of them before); 1 without a number: ")
    rows = rows_of(file)
    assert sorted(row["path"] for row in rows) == sorted(map(str, folder.iterdir()))
    assert {row["path"] for row in rows if row["code"]} == {str(folder / "text.png")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", file.name]


def test_a_file_that_is_named_differently_this_time_keeps_its_row_and_is_told_of(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "results.csv"
    intensity(folder, "-o", file)
    extra = tmp_path / "extra.png"
    extra.write_bytes(image(77))
    result = intensity(extra, "-o", file, "--resume")
    assert sums(result.stderr).startswith("1 file: 1 measured. ")
    assert result.stderr.splitlines()[0] == "The results also have rows of files that were not named this time: 12."
    assert len(rows_of(file)) == 13


def test_names_of_every_kind_are_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("=1.png", "a\nb.png", "a\\b.png", "\udce9.png", 'a",".png'):
        (folder / name).write_bytes(image(1))
    for suffix in SUFFIXES:
        file = tmp_path / f"results{suffix}"
        intensity(".", "-o", file, cwd=folder)
        before = file.read_bytes()
        result = intensity(".", "-o", file, "--resume", cwd=folder)
        assert "(5 of them before)" in result.stderr
        assert file.read_bytes() == before


def test_two_runs_do_not_write_to_one_file(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "results.csv"
    intensity(folder / "0000.png", "-o", file)
    before = file.read_bytes()
    with file.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for option in ("--resume", "--force", "--retry-problems"):
            result = intensity(folder, "-o", file, option)
            assert (result.returncode, file.read_bytes()) == (2, before)
            assert result.stderr == f"intensity: another run of intensity is writing to {file}\n"


def test_a_link_to_the_results_stays_a_link(tmp_path: Path, folder: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    link.symlink_to(real)
    (folder / "text.png").write_text("text")
    intensity(folder, "-o", link)
    intensity(folder, "-o", link, "--retry-problems")
    assert link.is_symlink()
    assert len(rows_of(real)) == 13


def test_a_json_line_without_a_line_feed_is_measured_again(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "results.jsonl"
    intensity(folder, "-o", file)
    file.write_text(file.read_text().removesuffix("\n"))
    assert json.loads(file.read_text().splitlines()[-1])["code"] is None
    assert "(11 of them before)" in intensity(folder, "-o", file, "--resume").stderr
    assert len(rows_of(file)) == 12
