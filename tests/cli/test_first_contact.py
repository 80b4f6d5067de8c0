"""What a newcomer tries: help, completion, an image on standard input, rows chosen and sorted, sums on a screen."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from image_intensity import measure
from intensity.cli import _installing
from tests.cli.command import COMMAND, folder_of, image, intensity, json_rows, on_terminal, tsv_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images, one of them hidden from its name, and three files that are none."""
    folder = folder_of(tmp_path / "photos", 3)
    (folder / "other").mkdir()
    (folder / "other/scan.dat").write_bytes(image(7))
    (folder / "cut.png").write_bytes(image(8)[:-30])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("text")
    return folder


@pytest.mark.parametrize("arguments", [["--help"], ["help"]])
def test_help_shows_examples_commands_and_the_manual(arguments: list[str]) -> None:
    shown = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=True).stdout
    for text in ("intensity photo.jpg ", "-o photos.csv", "intensity bulk s3://", "intensity runs start s3://"):
        assert text in shown
    assert "intensity manual " in shown
    # Without -j, which `intensity` of these tests adds.
    assert max(map(len, shown.splitlines())) <= 80


def test_help_of_a_command_and_the_manual() -> None:
    of_bulk = subprocess.run([*COMMAND, "help", "bulk"], capture_output=True, text=True, check=True).stdout
    assert of_bulk.startswith("usage: intensity bulk ")
    manual = subprocess.run([*COMMAND, "manual"], capture_output=True, text=True, check=True).stdout
    assert manual.rstrip() == (ROOT / "docs/command.md").read_text().rstrip()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("intensity --lu", "--luma"),
        ("intensity bul", "bulk"),
        ("intensity bulk --inv", "--inventory"),
        ("intensity runs wa", "watch"),
    ],
)
def test_a_shell_can_complete(tmp_path: Path, line: str, expected: str) -> None:
    environment = {**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1"}
    environment |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "answer"), "_ARGCOMPLETE_SHELL": "bash"}
    subprocess.run(COMMAND, env=environment, check=True, cwd=tmp_path)
    assert (tmp_path / "answer").read_text().strip() == expected


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("/home/me/.local/pipx/venvs/image-intensity", "pipx inject image-intensity duckdb"),
        ("/home/me/.local/share/uv/tools/image-intensity", 'uv tool install --force "./core[cli,parquet]"'),
        ("/home/me/venv", "-m pip install duckdb"),
    ],
)
def test_what_is_missing_is_installed_as_the_command_was(
    monkeypatch: pytest.MonkeyPatch, prefix: str, expected: str
) -> None:
    monkeypatch.setattr(sys, "prefix", prefix)
    assert expected in _installing("duckdb", "cli,parquet")


def test_the_local_run_installs_all_extras() -> None:
    locked = (ROOT / "infra/local/requirements.txt").read_text()
    for package in ("argcomplete", "botocore", "duckdb", "tqdm"):
        assert f"\n{package}==" in f"\n{locked}"


def test_an_image_on_standard_input_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(image(1))
    (tmp_path / "b.png").write_bytes(image(2))
    with file.open("rb") as opened:
        rows = json_rows(intensity("-", tmp_path / "b.png", "--format", "jsonl", stdin=opened).stdout)
    averages = [measure(image(seed)).average_intensity for seed in (2, 1)]
    assert [(row["path"], row["average_intensity"]) for row in rows] == [
        (str(tmp_path / "b.png"), averages[0]),
        ("(standard input)", averages[1]),
    ]
    with file.open("rb") as opened:
        refused = intensity("-", "-o", tmp_path / "a.csv", "--resume", stdin=opened)
    assert (refused.returncode, "has no name" in refused.stderr) == (2, True)


def test_rows_are_chosen_and_sorted(folder: Path) -> None:
    chosen = ["--columns", "average_intensity,path", "--sort", "average_intensity", "--reverse", "-q"]
    result = intensity(folder, "--exclude", "*.png", "--include", "0*", "--include", "other/*", *chosen)
    assert result.stderr == ""
    assert [row["path"] for row in tsv_rows(result.stdout)] == [str(folder / "other/scan.dat")]
    rows = tsv_rows(intensity(folder, *chosen).stdout)
    assert list(rows[0]) == ["average_intensity", "path"]
    averages = [float(row["average_intensity"]) for row in rows[:3]]
    assert averages == sorted((measure(image(seed)).average_intensity for seed in range(3)), reverse=True)
    assert [Path(row["path"]).name for row in rows[3:]] == ["cut.png", "empty.png", "text.png"]
    problems = tsv_rows(intensity(folder, "--problems-only").stdout)
    assert [row["code"] for row in problems] == ["corrupt_image", "empty_file", "unsupported_format"]


def test_a_dry_run_prints_names_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    result = intensity(folder, "--include", "other/*", "--dry-run", "-o", tmp_path / "a.csv")
    assert (result.returncode, result.stdout) == (0, f"{folder}/other/scan.dat\n")
    assert result.stderr == "Not taken: 6 excluded by patterns.\n1 file would be measured.\n"
    assert not (tmp_path / "a.csv").exists()


def test_the_summary_is_that_of_the_rows(folder: Path, tmp_path: Path) -> None:
    averages = [measure(image(seed)).average_intensity for seed in range(3)]
    as_text = intensity(folder, "--summary", "-o", tmp_path / "a.csv", "-q").stdout
    assert as_text.splitlines()[0] == "count\t3"
    assert as_text.splitlines()[2] == f"minimum\t{min(averages)}\t{folder}/{averages.index(min(averages)):04}.png"
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 7
    as_json = json.loads(intensity(folder, "--summary", "--format", "json").stdout)
    assert as_json["mean"] == pytest.approx(sum(averages) / 3, rel=1e-15)
    assert (as_json["count"], as_json["maximum"]) == (3, max(averages))


def test_json_is_one_array_and_excel_finds_utf_8(folder: Path, tmp_path: Path) -> None:
    file, table = tmp_path / "a.json", tmp_path / "a.csv"
    result = intensity(folder, "-o", file)
    assert [Path(row["path"]).name for row in json.loads(file.read_text())][3:] == ["cut.png", "empty.png", "text.png"]
    assert result.stderr.splitlines()[-1] == f"The rows are in {file}; code and detail say why."
    assert json.loads(intensity("/dev/null", "--problems-only", "--format", "json").stdout)[0]["code"] == "not_a_file"
    assert intensity(folder / "0000.png", "-o", table, "--excel").returncode == 0
    assert intensity(folder / "0001.png", folder / "0000.png", "-o", table, "--resume").returncode == 0
    assert table.read_bytes().startswith(b"\xef\xbb\xbfpath,")
    assert len(list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))) == 2


def test_the_limit_of_pixels_names_its_option(folder: Path) -> None:
    [row] = json_rows(intensity(folder / "0000.png", "--max-pixels", "9", "--format", "jsonl").stdout)
    assert row["detail"] == "The image has 61 x 47 = 2,867 pixels; at most 9 are measured (--max-pixels)."


def test_on_a_terminal_a_problem_is_one_line_and_the_sums_are_last(folder: Path) -> None:
    for number in range(2):
        (folder / f"{number} {'long ' * 12}.png").touch()
    lines = on_terminal(
        [*COMMAND, folder, "-j", "1", "--progress", "none"], env={**os.environ, "NO_COLOR": "1"}
    ).splitlines()
    assert [line for line in lines if "cut.png" in line] == [f"      -  cut short              {folder}/cut.png"]
    *_, sums, more = lines
    assert sums.startswith("8 files: 3 measured; 5 without a number: 3 empty, 1 cut short, 1 of another format. ")
    assert more.startswith("--problems-only shows")
    shown = on_terminal(
        [*COMMAND, folder / "empty.png", "-j", "1", "--progress", "none"], env={**os.environ, "TERM": "xterm"}
    )
    assert "\x1b[31mempty" in shown


def test_no_bar_while_the_rows_go_to_a_pipe(folder: Path) -> None:
    assert "%" not in on_terminal([*COMMAND, folder, "-j", "1"], stdout=subprocess.PIPE)


def test_of_many_problems_some_are_listed_a_line_each(folder: Path, tmp_path: Path) -> None:
    for number in range(30):
        (folder / f"{number} {'long ' * 12}.png").touch()
    shown = on_terminal([*COMMAND, folder, "-j", "1", "-o", tmp_path / "a.csv", "--progress", "none"]).splitlines()
    assert max(map(len, shown[:10])) < 80
    assert shown[10] == "  and 23 more"
    assert shown[-1] == f"The rows are in {tmp_path}/a.csv; code and detail say why."
    assert len(shown) < 24
