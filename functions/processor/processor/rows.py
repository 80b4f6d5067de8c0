"""The rows of a PNG, inflated and counted on their way to Pillow.

ISA-L inflates in a third of zlib's time. Pillow, which has its own zlib, gets a PNG with the same rows uncompressed,
made while it reads it, and does the rest: filters, interlace, depths, palettes. So every row is inflated once, at most
64 KB of them are in memory beside the image, and none can be missing unnoticed.
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, cast

from isal import isal_zlib
from isal.igzip_lib import IsalError

from contract.problems import ProblemCode, ProblemError
from processor.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# How much compressed data is inflated at a time: what is left of it is copied at every step.
DEFLATED_BYTES = 1 << 15
# A stored block holds at most this much (RFC 1951, section 3.2.4): memory is bounded, whatever the stream expands to.
STORED_BYTES = 0xFFFF
ZLIB_HEADER = b"\x78\x01"


def restored(head: bytes, data: Sequence[memoryview], row_bytes: int) -> IO[bytes]:
    """Return a PNG for Pillow to read: `head`, then the rows of the zlib stream in `data`, uncompressed.

    Reading it raises ProblemError, corrupt_image, when the stream is damaged or has fewer than `row_bytes`.
    """
    return cast("IO[bytes]", Feed(stored(head, rows(data, row_bytes))))


def rows(data: Sequence[memoryview], row_bytes: int) -> Iterator[bytes]:
    """Yield the first `row_bytes` of a zlib stream, `STORED_BYTES` at a time at most. Raises as `restored` says."""
    stream = isal_zlib.decompressobj()
    missing = row_bytes
    for piece in pieces(data):
        pending: bytes | memoryview = piece
        while missing:
            size = min(missing, STORED_BYTES)
            try:
                block = stream.decompress(pending, size)
            except IsalError as error:  # type: ignore[misc] # its stub declares an instance
                raise ProblemError(ProblemCode.CORRUPT_IMAGE, "The compressed data of this PNG is damaged.") from error
            pending = stream.unconsumed_tail
            missing -= len(block)
            if block:
                yield block
            if len(block) < size:
                # It has nothing more to give without further data.
                break
    if missing:
        raise ProblemError(ProblemCode.CORRUPT_IMAGE, "This PNG is damaged: its last rows are missing.")


def pieces(data: Sequence[memoryview]) -> Iterator[memoryview]:
    """Yield the data, `DEFLATED_BYTES` at a time at most, and nothing at its end: output may be waiting."""
    for content in data:
        for start in range(0, len(content), DEFLATED_BYTES):
            yield content[start : start + DEFLATED_BYTES]
    yield memoryview(b"")


def stored(head: bytes, rows: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a PNG, a chunk at a time, that has its rows uncompressed.

    Its checksums are zero: Pillow looks neither at those of image data nor, once it has all rows, at what comes after.
    """
    yield head + struct.pack(">I4s2sI", len(ZLIB_HEADER), b"IDAT", ZLIB_HEADER, 0)
    for block in rows:
        yield struct.pack(">I4s", 5 + len(block), b"IDAT")
        yield struct.pack("<BHH", 0, len(block), len(block) ^ STORED_BYTES) + block + bytes(4)
