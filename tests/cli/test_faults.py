"""What processes, signals, disks and files can do to a run: it costs one row, or it ends with whole rows."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from image_intensity import Limits, Options, measure
from intensity.rows import FILE_CHANGED, installed_method
from intensity.sources.errors import ReadProblem
from intensity.sources.files import Files, content
from intensity.sources.paths import Found
from intensity.work import Measuring, Work
from tests.cli.command import (
    COMMAND,
    command_line,
    csv_rows,
    folder_of,
    image,
    intensity,
    kill,
    large_image,
    memory,
    on_terminal,
    read_all,
    slow_folder,
    started,
    sums,
    until,
    workers,
)
from tests.support import executable, missing

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = 150_000_000
WORK = Work(method=installed_method(Options()), limits=Limits(), full=False, max_bytes=10_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of five images, the second of which takes a second."""
    folder = folder_of(tmp_path / "images", 4)
    (folder / "0000-large.jpg").write_bytes(large_image())
    return folder


def busy_worker(process: subprocess.Popen[str]) -> int:
    """The process that has the large image under way, once it has."""

    def found() -> int:
        return next((worker for worker in workers(process.pid) if memory(worker) > LARGE), 0)

    busy: int = until(found, process)
    return busy


@pytest.mark.parametrize(
    ("jobs", "number", "problem"),
    [
        ("1", signal.SIGKILL, "processor_failed: The process that measured this file was ended by SIGKILL"),
        ("2", signal.SIGSEGV, "processor_failed: The process that measured this file was ended by SIGSEGV"),
        # So the system ends it when it has taken too long.
        ("2", signal.SIGALRM, "processor_timeout: This file took more than 60 seconds (--timeout)."),
    ],
)
def test_a_process_that_is_ended_costs_the_row_of_its_file_and_nothing_else(
    tmp_path: Path, folder: Path, jobs: str, number: signal.Signals, problem: str
) -> None:
    file = tmp_path / "results.csv"
    with started(folder, "-o", file, "-j", jobs) as process:
        kill(busy_worker(process), number)
        _, messages = process.communicate(timeout=100)
    rows = {Path(row["path"]).name: row for row in csv_rows(file.read_text())}
    assert [name for name, row in rows.items() if row["code"]] == ["0000-large.jpg"]
    assert "{code}: {detail}".format(**rows["0000-large.jpg"]).startswith(problem)
    assert sums(messages).startswith("5 files: 4 measured; 1 without a number: 1 ")
    assert (process.returncode, "Traceback" in messages) == (1, False)


def part_of(file: Path, more_than: int) -> Callable[[], bool]:
    """Whether a file has more than so many lines."""
    return lambda: file.exists() and file.read_bytes().count(b"\n") > more_than


def test_processes_that_are_killed_at_any_time_cost_the_files_that_they_had_and_no_others(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 300)
    file = tmp_path / "results.csv"
    with started(folder, "-o", file, "-j", "2") as process:
        for rows in (1, 60, 120):
            until(part_of(file, rows), process)
            for worker in workers(process.pid):
                kill(worker)
        _, messages = process.communicate(timeout=100)
    rows_by_path = {row["path"]: row for row in csv_rows(file.read_text())}
    assert sorted(rows_by_path) == sorted(map(str, folder.iterdir()))
    failed = [row for row in rows_by_path.values() if row["code"]]
    assert {row["code"] for row in failed} <= {"processor_failed"}
    # At most the files that the six processes were measuring.
    assert len(failed) <= 6
    assert sums(messages).startswith(f"300 files: {300 - len(failed)} measured")
    assert "Traceback" not in messages


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl", "results.parquet"])
def test_a_run_that_is_killed_leaves_whole_rows_and_no_process_and_can_be_resumed(tmp_path: Path, name: str) -> None:
    folder, file = slow_folder(tmp_path / "images", 57), tmp_path / name
    lines = tmp_path / (f"{name}.partial.jsonl" if name.endswith("parquet") else name)
    with started(folder, "-o", file) as process:
        until(part_of(lines, 20), process)
        measuring = workers(process.pid)
        process.kill()
    assert measuring
    until(lambda: not any("spawn_main" in command_line(pid) for pid in measuring))
    left = lines.read_bytes()
    assert left.endswith(b"\n")
    result = intensity(folder, "-o", file, "--resume")
    assert result.returncode == 0
    assert "60 files: 60 measured (" in result.stderr
    intensity(folder, "-o", tmp_path / f"at once {name}")
    if name.endswith("parquet"):
        assert not lines.exists()
        query = "SELECT count(*), count(DISTINCT path) FROM read_parquet(?)"
        assert duckdb.execute(query, [str(file)]).fetchall() == [(60, 60)]
    else:
        assert file.read_bytes() == (tmp_path / f"at once {name}").read_bytes()
        assert file.read_bytes().startswith(left)


# Ctrl+C is below. A terminal that is closed sends SIGHUP to all processes, and so do service managers with SIGTERM.
@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_run_with_whole_rows_and_sums_that_add_up(
    tmp_path: Path, number: int, code: int, send: Callable[[int, int], None]
) -> None:
    folder, file = slow_folder(tmp_path / "images", 57), tmp_path / "results.csv"
    with started(folder, "-o", file, start_new_session=True) as process:
        until(part_of(file, 20), process)
        measuring = workers(process.pid)
        send(process.pid, number)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == code
    assert not any(map(command_line, measuring))
    rows = csv_rows(file.read_text())
    measured = len(rows)
    assert 20 <= measured < 60
    assert not any(row["code"] for row in rows)
    assert messages.startswith(f"60 files: {measured} measured; {60 - measured} not reached.")
    assert messages.endswith(f"intensity: stopped by {signal.Signals(number).name}; --resume continues {file}\n")


def test_a_signal_ends_a_search_for_names(tmp_path: Path) -> None:
    with started("-", stdin=subprocess.PIPE, cwd=tmp_path) as process:
        until(lambda: caught(process.pid, signal.SIGTERM), process)
        process.terminate()
        _, messages = process.communicate(timeout=60)
    assert (process.returncode, messages) == (143, "intensity: stopped before the first file was measured\n")


def caught(pid: int, number: int) -> bool:
    """Whether a process handles a signal itself."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigCgt:\t")[2].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


def test_ctrl_c_on_a_terminal_ends_everything(tmp_path: Path) -> None:
    folder, file = slow_folder(tmp_path / "images", 57), tmp_path / "results.csv"
    keyboard, terminal = os.openpty()
    # It leads a session with a terminal of its own, so that Ctrl+C reaches all its processes.
    command = [executable("setsid"), "--ctty", *COMMAND, str(folder), "-o", str(file)]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        try:
            until(part_of(file, 20), process)  # type: ignore[arg-type]
            measuring = workers(process.pid)
            os.write(keyboard, b"\x03")
            shown = read_all(keyboard)
            process.wait(60)
        finally:
            process.kill()
            os.close(keyboard)
    assert process.returncode == 130
    assert measuring
    assert not any(map(command_line, measuring))
    assert "stopped by SIGINT" in shown
    assert "Traceback" not in shown
    assert file.read_bytes().endswith(b"\n")
    assert not any(row["code"] for row in csv_rows(file.read_text()))
    assert intensity(folder, "-o", file, "--resume").returncode == 0
    assert len({row["path"] for row in csv_rows(file.read_text())}) == 60


def test_on_a_terminal_there_is_a_table_and_a_bar_that_reaches_the_end(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 30)
    shown = on_terminal([*COMMAND, folder], 100)
    assert "average           size  mode    path" in shown
    average = measure((folder / "0029.png").read_bytes()).average_intensity
    assert f"{average:7.2f}        61 x 47  RGB     {folder}/0029.png" in shown
    assert "100% |" in shown
    assert "30/30 files" in shown


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of 40 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    unshare = [executable("unshare"), "--mount"]
    probe = subprocess.run([*unshare, "mount", "-t", "tmpfs", "-o", "size=40k", "none", disk], check=False)
    if probe.returncode:
        missing("the right to mount a small file system")
    return disk


def on_small_disk(disk: Path, *commands: str) -> subprocess.CompletedProcess[str]:
    """Run shell commands where `disk` is a file system of 40 KB."""
    script = f"mount -t tmpfs -o size=40k none {shlex.quote(str(disk))} && " + " ; ".join(commands)
    return subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_full_disk_is_one_line_and_leaves_whole_rows(tmp_path: Path, small_disk: Path, suffix: str) -> None:
    folder, file, copy = folder_of(tmp_path / "images", 250), small_disk / f"results.{suffix}", tmp_path / "copy"
    command = shlex.join([*COMMAND, str(folder), "-o", str(file)])
    result = on_small_disk(
        small_disk,
        f"{command}; echo code $?",
        shlex.join(["cp", str(file), str(copy)]),
        shlex.join(["mount", "-o", "remount,size=1m", str(small_disk)]),
        f"{command} --resume; echo code $?",
        shlex.join(["cp", str(file), str(tmp_path / "completed")]),
    )
    assert [line for line in result.stdout.splitlines() if line.startswith("code")] == ["code 1", "code 0"]
    complaint = f"intensity: cannot write {file}: No space left on device; --resume continues {file}"
    assert result.stderr.splitlines().count(complaint) == 1
    assert "Traceback" not in result.stderr
    left, completed = copy.read_bytes(), (tmp_path / "completed").read_bytes()
    assert left.endswith(b"\n")
    assert 10 < left.count(b"\n") < 250
    assert completed.startswith(left)
    assert completed.count(b"\n") == 250 + (suffix == "csv")


def test_standard_output_that_is_full_is_one_line(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 3)
    with Path("/dev/full").open("wb") as full:
        result = intensity(folder, stdout=full)
    assert result.returncode == 1
    assert result.stderr.splitlines() == ["intensity: cannot write standard output: No space left on device"]


def test_closed_streams_cost_no_row_and_have_no_traceback(tmp_path: Path) -> None:
    folder, file = folder_of(tmp_path / "images", 3), tmp_path / "results.csv"
    command = shlex.join([*COMMAND, str(folder)])
    for closed, code in ((">&-", 1), ("2>&-", 0), ("-o results.csv 2>&-", 0), ("-o other.csv >&- 2>&-", 0)):
        result = subprocess.run(["sh", "-c", f"{command} {closed}"], cwd=tmp_path, capture_output=True, check=False)
        expected = b"intensity: cannot write standard output: Bad file descriptor\n" if closed == ">&-" else b""
        assert (result.returncode, result.stderr) == (code, expected)
    assert len(csv_rows(file.read_text())) == 3
    assert file.read_bytes() == (tmp_path / "other.csv").read_bytes()
    names = subprocess.run(["sh", "-c", f"{shlex.join(COMMAND)} - <&-"], capture_output=True, text=True, check=False)
    assert (names.returncode, names.stderr) == (2, "intensity: cannot read names from -: Bad file descriptor\n")


def test_a_folder_that_may_not_be_entered_is_one_line(tmp_path: Path) -> None:
    folder, shut = folder_of(tmp_path / "images", 1), tmp_path / "shut"
    shut.mkdir(mode=0)
    bound = [executable("setpriv"), "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    for suffix in ("csv", "parquet"):
        file = shut / f"results.{suffix}"
        result = subprocess.run([*bound, *COMMAND, folder, "-o", file], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (2, f"intensity: cannot write {file}: Permission denied\n")


@pytest.mark.parametrize("option", [[], ["--formats", "JPEG"]])
def test_what_is_no_image_of_the_formats_is_not_read_on(tmp_path: Path, option: list[str]) -> None:
    for name, head in (("a.bin", b"text"), ("b.bin", image(1) if option else b"")):
        with (tmp_path / name).open("wb") as file:
            file.write(head)
            file.truncate(900_000_000)
    command = ["env", "--", "sh", "-c", 'ulimit -v 800000; exec "$0" "$@"', *COMMAND, "a.bin", "b.bin", *option]
    result = subprocess.run([*command, "-j1"], cwd=tmp_path, capture_output=True, text=True, check=False)
    rows = [line.split("\t") for line in result.stdout.splitlines()[1:]]
    assert [(row[0], row[6], row[7], row[8]) for row in rows] == [
        (name, "900000000", "", "unsupported_format") for name in ("a.bin", "b.bin")
    ]


@pytest.mark.parametrize("change", [image(1) + b"more", image(1)[:-20], image(1), b""])
def test_a_file_that_changes_while_it_is_read_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: bytes
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(image(1))
    os.utime(file, (1, 1))

    def check_then_change(_status: os.stat_result, _max_bytes: int) -> None:
        # The second time, the file is open.
        file.write_bytes(change) if checks.pop() else None

    checks = [True, False]
    monkeypatch.setattr("intensity.sources.files._check", check_then_change)
    with pytest.raises(ReadProblem, match="changed") as error:
        content(os.fsencode(file), WORK.max_bytes, WORK.reads_on)
    assert error.value.code == FILE_CHANGED


def test_a_file_that_vanishes_after_it_was_found_is_a_row(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 20)
    with started(folder, "-o", tmp_path / "results.csv", "-j", "1") as process:
        until(lambda: workers(process.pid), process)
        (folder / "0019.png").unlink()
        process.communicate(timeout=60)
    rows = csv_rows((tmp_path / "results.csv").read_text())
    assert [row["code"] for row in rows] == [""] * 19 + ["file_missing"]


def test_memory_that_does_not_suffice_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(image(1))

    def too_large(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("image_intensity.measure", too_large, raising=False)
    result = Measuring(Files(), WORK).row(Found(os.fsencode(file)))
    assert (result["code"], result["detail"]) == (
        "processor_failed",
        "There is not enough memory to measure this image.",
    )
    assert result["sha256"]


def test_a_temporary_folder_without_space_is_one_line(tmp_path: Path, small_disk: Path) -> None:
    names = tmp_path / "names"
    names.write_text("".join(f"{number:0200}.png\n" for number in range(20_000)))
    command = ["env", f"SQLITE_TMPDIR={small_disk}", *COMMAND, "--from", str(names)]
    result = on_small_disk(small_disk, f"{shlex.join(command)}; echo code $?")
    assert result.stdout.splitlines()[-1] == "code 1"
    assert result.stderr.startswith("intensity: cannot keep the list of files in the temporary folder")
    assert len(result.stderr.splitlines()) == 1
