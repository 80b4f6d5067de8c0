"""Files and streams that are written without a torn line, and by one run at a time."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2


class TargetError(Exception):
    """The results cannot go where they should, and nothing was measured."""


class ResumeError(Exception):
    """The file cannot be continued by this run."""


class OutputError(Exception):
    """Rows cannot be written, for example because the disk is full."""


def write(text: str, descriptor: int = STANDARD_OUTPUT, name: str = "standard output") -> None:
    """Write lines. Raises OutputError; a file then ends with the last whole line that had space."""
    data, written = text.encode(errors="backslashreplace"), 0
    try:
        while written < len(data):
            try:
                written += os.write(descriptor, data[written:])
            except BlockingIOError:
                # Another program has made a shared terminal or pipe non-blocking.
                select.select([], [descriptor], [])
    except BrokenPipeError:
        raise
    except OSError as error:
        if regular(descriptor):
            torn = written - (data.rfind(b"\n", 0, written) + 1)
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn)
        raise OutputError(f"cannot write {name}: {error.strerror}") from error


def locked(file: Path) -> int:
    """Open `file` to append whole lines, and keep other runs from it. Raises TargetError and OSError."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        if regular(descriptor):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Otherwise, another run has just put another file in its place.
        if os.path.samestat(os.fstat(descriptor), file.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    raise TargetError(f"another run of intensity is writing to {file}")


@contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """Yield a new file, which replaces `file` in one step at the end of the block."""
    file = file.resolve()
    with TemporaryDirectory(dir=file.parent, prefix=f"{file.name}.") as folder:
        part = Path(folder) / file.name
        with part.open("wb") as new:
            yield new
            new.flush()
            os.fsync(new.fileno())
        shutil.copymode(file, part)
        part.replace(file)


def regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def has_content(file: Path) -> bool:
    try:
        return file.is_file() and file.stat().st_size > 0
    except OSError:
        # Whoever opens it says why.
        return False
