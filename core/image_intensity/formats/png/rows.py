"""The rows of a PNG, inflated and counted, so that none can be missing or damaged unnoticed.

ISA-L inflates in a third of zlib's time, at most 64 KB at a time. What is for Pillow, which has its own zlib, becomes a
PNG with the same rows uncompressed, made while Pillow reads it and does the rest: filters, interlace, depths, palettes.
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, cast

from isal import isal_zlib
from isal.igzip_lib import IsalError

from image_intensity.errors import CorruptImage
from image_intensity.formats.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# How much compressed data is inflated at a time: what is left of it is copied at every step.
DEFLATED_BYTES = 1 << 15
# A stored block holds at most this much (RFC 1951, section 3.2.4): memory is bounded, whatever the stream expands to.
STORED_BYTES = 0xFFFF
ZLIB_HEADER = b"\x78\x01"


def restored(head: bytes, data: Iterable[memoryview], row_bytes: int) -> IO[bytes]:
    """Return a PNG for Pillow to read: `head`, then the rows of the zlib stream in `data`, uncompressed.

    Reading it raises CorruptImage, when the stream is damaged or has fewer than `row_bytes`.
    """
    return cast("IO[bytes]", Feed(stored(head, inflated_rows(data, row_bytes))))


def inflated_rows(data: Iterable[memoryview], row_bytes: int) -> Iterator[bytes]:
    """Yield the first `row_bytes` of a zlib stream, `STORED_BYTES` at a time at most. Raises as `restored` says."""
    stream = isal_zlib.decompressobj()
    missing = row_bytes
    for piece in pieces(data):
        if stream.eof:
            break
        pending: bytes | memoryview = piece
        while True:
            # Behind the last row comes the checksum, which the stream compares when it is asked for one byte more.
            size = min(missing, STORED_BYTES) or 1
            try:
                block = stream.decompress(pending, size)
            except IsalError as error:  # type: ignore[misc] # its stub declares an instance
                raise CorruptImage("The compressed data of this PNG is damaged.") from error
            if block and not missing:
                # Surplus data, which nobody knows the length of.
                return
            pending = stream.unconsumed_tail
            missing -= len(block)
            if block:
                yield block
            if len(block) < size:
                # It has nothing more to give without further data.
                break
    if missing:
        raise CorruptImage("This PNG is damaged: its last rows are missing.")


def pieces(data: Iterable[memoryview]) -> Iterator[memoryview]:
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
