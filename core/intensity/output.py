"""Where rows are written: whole lines only, on the terminal, in a pipe or in a file that can be resumed."""

from __future__ import annotations

import fcntl
import os
import select
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from intensity.lines import Lines
    from intensity.rows import Row


class OutputError(Exception):
    """Rows cannot be written: the disk is full, or the file is in use."""


class Output:
    """An open file that receives rows. Each batch is one write, so that a kill tears no row."""

    def __init__(self, descriptor: int, lines: Lines, name: str) -> None:
        """Write to `descriptor`; `name` is for messages."""
        self._descriptor, self._lines, self._name = descriptor, lines, name
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def begin(self) -> None:
        """Write the head, unless rows of an earlier run are there. Raises OutputError."""
        if not self._regular or os.fstat(self._descriptor).st_size == 0 or self._lines.head == "":
            self._write(self._lines.head)

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows. Raises OutputError; the file then ends with the last whole row that had space."""
        self._write("".join(map(self._lines.line, rows)))

    def close(self) -> None:
        """Wait until everything is on the disk. Raises OutputError."""
        try:
            if self._regular:
                os.fsync(self._descriptor)
            os.close(self._descriptor)
        except OSError as error:
            raise OutputError(f"cannot write {self._name}: {error.strerror}") from error

    def _write(self, text: str) -> None:
        """Write lines."""
        data, written = text.encode(errors="backslashreplace"), 0
        try:
            while written < len(data):
                written += self._some(data[written:])
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._regular:
                torn = written - (data.rfind(b"\n", 0, written) + 1)
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - torn)
            raise OutputError(f"cannot write {self._name}: {error.strerror}") from error

    def _some(self, data: bytes) -> int:
        """Write as many bytes as there is space for, and return their number."""
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            # Another program has made a shared terminal or pipe non-blocking.
            select.select([], [self._descriptor], [])
            return 0


def open_file(file: Path, *, empty: bool) -> int:
    """Open `file` to append whole lines, and keep other runs from it. `empty`: remove what is in it first.

    Raises OutputError when another run has it open, and OSError.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise OutputError(f"another run of intensity is writing to {file}") from error
    if empty:
        os.ftruncate(descriptor, 0)
    return descriptor
