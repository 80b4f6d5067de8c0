"""Files and streams that are written without a torn line, and by one run at a time."""

from __future__ import annotations

import fcntl
import os
import select
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from intensity.given import STANDARD_OUTPUT

if TYPE_CHECKING:
    from pathlib import Path


class TargetError(Exception):
    """The results cannot go where they should, and nothing was measured."""


class OutputError(Exception):
    """Rows cannot be written, for example because the disk is full."""


def say(text: str) -> None:
    """Write to standard output. Raises OutputError."""
    data = text.encode(errors="backslashreplace")
    try:
        while data:
            data = data[some(STANDARD_OUTPUT, data) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write standard output: {error.strerror}") from error


def some(descriptor: int, data: bytes) -> int:
    """Write as many bytes as there is space for, and return their number."""
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        # Another program has made a shared terminal or pipe non-blocking.
        select.select([], [descriptor], [])
        return 0


def locked(file: Path) -> int:
    """Open `file` to append whole lines, and keep other runs from it. Raises TargetError and OSError."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), file.stat()):
                    return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise TargetError(f"another run of intensity is writing to {file}") from error
        # Another run has just put another file in its place.
        os.close(descriptor)


def has_content(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0
