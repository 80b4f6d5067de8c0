"""The code of a measuring process. It reads one file at a time, once, and hashes and measures the same bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import image_intensity
from image_intensity import MeasurementError
from intensity import names
from intensity.rows import (
    FILE_CHANGED,
    FILE_MISSING,
    FILE_TOO_LARGE,
    FILE_UNREADABLE,
    NOT_A_FILE,
    PROCESSOR_FAILED,
    measured_row,
    problem_row,
)
from intensity.sources.errors import HEAD_BYTES, Content

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from image_intensity import Limits
    from intensity.rows import Method, Row
    from intensity.sources.paths import Found

# A process has a file to measure, and one more that it can begin at once.
AHEAD = 2
# The parent ends a process that takes too long. If the parent is gone, the kernel ends it, a little later.
ALARM_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How to measure each file. timeout: in seconds. max_bytes: longer files are not read. noun: file, or object."""

    method: Method
    limits: Limits
    full: bool
    timeout: float
    max_bytes: int
    noun: str = "file"

    def reads_on(self, head: bytes) -> bool:
        """Return whether content that begins so may be an image."""
        from image_intensity.formats import detect  # noqa: PLC0415 - it loads the decoders

        return detect(head) in self.limits.formats


class FileProblem(Exception):  # noqa: N818 - as in `image_intensity.errors`
    """Why a file could not be read: a code and a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.code = code
        self.detail = detail


def serve(pipe: Connection, work: Work) -> None:
    """Send None when ready, then a row for each file that comes, until the parent closes the pipe."""
    begin()
    pipe.send(None)
    while True:
        try:
            file: Found = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(row(file.path, work))


def begin() -> None:
    """Prepare a measuring process: it must end with its parent, and at an alarm."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # This loads NumPy and the decoders. It is not at the top of the file, because the parent imports it, too.
    _ = image_intensity.measure
    # Decoders in C and Rust write to standard error. That would disturb the table and the progress bar.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _end_with_parent() -> None:
    """Wait for the end of the parent, however it ends (SIGKILL, too), then end this process at once."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


def row(path: bytes, work: Work) -> Row:
    """Return the row of one file. Problems with the file are in the row and are never raised."""
    with alarm(work.timeout + ALARM_SECONDS):
        name = names.written(path)
        try:
            read = content(path, work)
        except FileProblem as problem:
            return problem_row(name, problem.code, problem.detail, work.method)
        except MemoryError:
            return problem_row(name, PROCESSOR_FAILED, "There is not enough memory to read this file.", work.method)
        return content_row(name, read, work)


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Let the kernel end this process unless the block is left within `seconds`."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def content_row(name: str, read: Content, work: Work) -> Row:
    """Return the row of a file that was read."""
    known: dict[str, Any] = {"image_size_bytes": read.size}
    if len(read.data) == read.size:
        known["sha256"] = hashlib.sha256(read.data).hexdigest()
    try:
        measurement = image_intensity.measure(read.data, work.method.options, work.limits)
        return measured_row(name, measurement, known["sha256"], work.method, full=work.full)
    except MeasurementError as error:
        code, detail = error.code, error.detail
    except MemoryError:
        code, detail = PROCESSOR_FAILED, "There is not enough memory to measure this image."
    except Exception as error:  # noqa: BLE001 - a bug must cost one row and not the run
        code, detail = PROCESSOR_FAILED, f"Measuring this {work.noun} failed: {type(error).__name__}: {error}"
    return problem_row(name, code, detail, work.method, **known)


def content(path: bytes, work: Work) -> Content:
    """Return the bytes of a regular file, as they were at one time. Raises FileProblem."""
    try:
        # Check before opening: a FIFO can block, and a device can do something. O_NONBLOCK is for a later change.
        _check(os.stat(path), work.max_bytes)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            _check(before, work.max_bytes)
            data = file.peek(HEAD_BYTES)[:HEAD_BYTES]
            expected = before.st_size if work.reads_on(data) else len(data)
            # Reading one byte more shows whether it has grown.
            data = file.read(expected + (expected == before.st_size))
            after = os.fstat(descriptor)
    except OSError as error:
        raise _unread(error, path) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != expected:
        raise FileProblem(FILE_CHANGED, "The file changed while it was read.")
    return Content(data, before.st_size)


def _check(status: os.stat_result, max_bytes: int) -> None:
    """Raise FileProblem unless this is a regular file of at most `max_bytes`."""
    if not stat.S_ISREG(status.st_mode):
        raise FileProblem(NOT_A_FILE, "This is not a file but a folder, FIFO, socket or device; it was not opened.")
    if status.st_size > max_bytes:
        detail = f"The file has {status.st_size:,} bytes; at most {max_bytes:,} are read (--max-bytes)."
        raise FileProblem(FILE_TOO_LARGE, detail)


def _unread(error: OSError, path: bytes) -> FileProblem:
    """Return why a file could not be opened or read."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        link = os.path.islink(path)
        return FileProblem(FILE_MISSING, "This link leads to no file." if link else "There is no file of this name.")
    return FileProblem(FILE_UNREADABLE, f"The file cannot be read: {error.strerror}.")
