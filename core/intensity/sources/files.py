"""The bytes of a file, as they were at one time, or the reason why not."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from intensity.rows import FILE_CHANGED, FILE_MISSING, FILE_TOO_LARGE, FILE_UNREADABLE, NOT_A_FILE
from intensity.sources.errors import HEAD_BYTES, Content, ReadProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from intensity.sources.paths import Found


IMAGE_NAME = b"(standard input)"


class Files:
    """The files of this machine, for `intensity.work`. None is read ahead: the system does that.

    image: a copy of standard input, if that is an image, whose name is `IMAGE_NAME`.
    """

    ahead = 0
    image: bytes | None = None

    def reading(self, reads_on: Callable[[bytes], bool]) -> Callable[[Found, int], Content]:
        """Return what reads a file, of at most so many bytes."""

        def read(found: Found, most: int) -> Content:
            image = self.image if found.path == IMAGE_NAME else None
            return content(image or found.path, most, reads_on)

        return read


def content(path: bytes, most: int, reads_on: Callable[[bytes], bool]) -> Content:
    """Return the bytes of a regular file of at most `most`, or only the first ones unless it `reads_on` from these.

    Raises ReadProblem.
    """
    try:
        # Check before opening: a FIFO can block, and a device can do something. O_NONBLOCK is for a later change.
        _check(os.stat(path), most)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            _check(before, most)
            head = file.peek(HEAD_BYTES)[:HEAD_BYTES]
            expected = before.st_size if reads_on(head) else len(head)
            # Reading one byte more shows whether it has grown.
            data = file.read(expected + (expected == before.st_size))
            after = os.fstat(descriptor)
    except OSError as error:
        raise _unread(error, path) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != expected:
        raise ReadProblem(FILE_CHANGED, "The file changed while it was read.")
    return Content(data, before.st_size)


def _check(status: os.stat_result, most: int) -> None:
    """Raise ReadProblem unless this is a regular file of at most `most`."""
    if not stat.S_ISREG(status.st_mode):
        raise ReadProblem(NOT_A_FILE, "This is not a file but a folder, FIFO, socket or device; it was not opened.")
    if status.st_size > most:
        detail = f"The file has {status.st_size:,} bytes; at most {most:,} are read (--max-bytes)."
        raise ReadProblem(FILE_TOO_LARGE, detail)


def _unread(error: OSError, path: bytes) -> ReadProblem:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        link = os.path.islink(path)
        return ReadProblem(FILE_MISSING, "This link leads to no file." if link else "There is no file of this name.")
    return ReadProblem(FILE_UNREADABLE, f"The file cannot be read: {error.strerror}.")
