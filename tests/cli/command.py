"""Runs the command as its users do: as a process of its own, on files in a folder."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from image_intensity import OPTIONS
from tests.core.samples import encoded, pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

COMMAND = [sys.executable, "-m", "intensity"]
BASE_COLUMNS = [
    *("path", "average_intensity", "width", "height", "original_mode", "pixel_count", "image_size_bytes", "sha256"),
    *("code", "detail", *OPTIONS, "version"),
]
TIMEOUT_SECONDS = 60.0


def intensity(*arguments: str | bytes | Path, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - run's
    """The command's exit code and what it wrote, after at most two minutes. One process, unless -j asks for more."""
    # Starting a process takes longer than measuring these images.
    jobs = [] if "-j" in arguments else ["-j", "1"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "timeout": 120, **options}
    return subprocess.run([*COMMAND, *arguments, *jobs], check=False, **options)


@contextmanager
def started(*arguments: str | Path, **options: Any) -> Iterator[subprocess.Popen[str]]:  # noqa: ANN401 - Popen's
    """The command while it runs; what is left of it is ended afterwards."""
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, **options}
    with subprocess.Popen([*COMMAND, *arguments], **streams) as process:
        try:
            yield process
        finally:
            process.kill()


def on_terminal(command: Sequence[str | Path], columns: int = 80, **options: Any) -> str:  # noqa: ANN401 - Popen's
    """What a command shows on a terminal of 24 lines. Its lines end as it wrote them."""
    keyboard, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal, **options}
    with subprocess.Popen(command, **streams) as process:
        os.close(terminal)
        shown = read_all(keyboard)
        process.wait(60)
    os.close(keyboard)
    return shown.replace("\r\n", "\n")


def read_all(descriptor: int) -> str:
    """What a terminal shows until its programs have ended."""
    shown = b""
    # Then, reading is an error.
    with suppress(OSError):
        while block := os.read(descriptor, 65_536):
            shown += block
    return shown.decode()


def until(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:  # noqa: ANN401 - any
    """Wait for something to become true and return it; `process` must still run meanwhile."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, "it has not become true"
        assert process is None or process.poll() is None, "the command has ended before"
        time.sleep(0.005)
    return value


def workers(pid: int) -> list[int]:
    """The measuring processes of a run, by their ids."""
    ids: list[str] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            ids += children.read_text().split()
    return [int(child) for child in ids if "spawn_main" in command_line(int(child))]


def command_line(pid: int) -> str:
    """What a process was started with; nothing if it has ended, or waits to be buried."""
    try:
        if ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return ""
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def memory(pid: int) -> int:
    """The bytes of memory that a process uses now; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process of the test."""
    os.kill(pid, number)


def image(seed: int, size: tuple[int, int] = (61, 47)) -> bytes:
    """A small PNG."""
    return encoded(pixels("RGB", size, seed), "PNG")


@cache
def large_image() -> bytes:
    """A gray JPEG of 196 million pixels in 2 MB. To decode it takes a second and 200 MB of memory."""
    return encoded(Image.new("L", (14_000, 14_000), 99), "JPEG")


def folder_of(folder: Path, number: int, size: tuple[int, int] = (61, 47)) -> Path:
    """A folder with `number` small images."""
    folder.mkdir()
    for seed in range(number):
        (folder / f"{seed:04}.png").write_bytes(image(seed, size))
    return folder


def slow_folder(folder: Path, number: int) -> Path:
    """A folder with `number` small images, and behind them three that take long: so a run does not end by itself."""
    folder_of(folder, number)
    (folder / "9997-large.jpg").write_bytes(large_image())
    for name in ("9998-large.jpg", "9999-large.jpg"):
        (folder / name).hardlink_to(folder / "9997-large.jpg")
    return folder


def sums(messages: str) -> str:
    """The line with the sums."""
    return next(line for line in messages.splitlines() if re.match(r"[\d,]+ (file|object)s?: ", line))


def csv_rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(text.splitlines()))


def tsv_rows(text: str) -> list[dict[str, str]]:
    """The rows of tab-separated lines, read as `cut` reads them: a tab always ends a cell."""
    head, *lines = text.removesuffix("\n").split("\n")
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


def json_rows(text: str) -> list[dict[str, Any]]:
    """The rows of JSON lines."""
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]
