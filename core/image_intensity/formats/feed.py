"""A file that is made while a decoder reads it, so that it is never in memory as a whole."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Feed:
    """A file that is made while it is read. Seeking back works only within the current piece."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.piece = b""
        self.start = self.position = 0

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, or what is left."""
        while self.start + len(self.piece) < self.position + size and (more := next(self.pieces, b"")):
            self.piece = self.piece[self.position - self.start :] + more
            self.start = self.position
        offset = self.position - self.start
        content = self.piece[offset : offset + size]
        self.position += len(content)
        return content

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int) -> int:
        """Go to a position in the current piece."""
        if not self.start <= offset <= self.start + len(self.piece):
            raise io.UnsupportedOperation
        self.position = offset
        return offset
