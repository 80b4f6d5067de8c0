"""The rows of a PNG, inflated and counted, so that a missing or damaged row is noticed.

zlib-ng inflates, at most 64 KB at a time, and compares the checksum. The rows then go on uncompressed: to Rust's `png`
crate in bands of whole rows (see `bands`), or to Pillow as one PNG that is made while Pillow reads it. So no second
decoder inflates what a file has compressed, and a bomb costs once at most.

Why zlib-ng: a file may consist of the smallest blocks there are, a few bits each, and a decoder that builds large
tables for each block takes 600 ns for each compressed byte of it. zlib-ng takes 75 ns, and for honest files not longer
than the others (docs/decisions/png-decoding.md).
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, Any, cast

from zlib_ng import zlib_ng

from image_intensity.errors import CorruptImage, UnsupportedFormat
from image_intensity.formats.feed import Feed
from image_intensity.formats.png.structure import corrupt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# How much compressed data is inflated at a time. Each step copies the rest of it.
DEFLATED_BYTES = 1 << 15
# The most bytes of a stored block (RFC 1951, section 3.2.4). Memory is bounded by it, whatever the stream expands to.
STORED_BYTES = 0xFFFF
ZLIB_HEADER = b"\x78\x01"
# An empty block, the last one.
LAST_BLOCK = b"\1\0\0\xff\xff"
# A few encoders write surplus rows. This much of them is inflated, to find the checksum after them. Damage can make
# rows longer, too: what goes on for more has no checksum that could be compared, and is refused.
SURPLUS_BYTES = 1 << 20
# Compressors do not make data longer than this: literals of fixed codes have 9 bits (a factor of 1.125), and a flush
# has at most ten bytes. Only blocks with little content or none can be more, and they cost time.
MOST_EXPANSION, EXPANSION_BYTES = 1.25, 1 << 16


def most_deflated(row_bytes: int) -> int:
    """Return how many compressed bytes `row_bytes` of rows may have."""
    return int(row_bytes * MOST_EXPANSION) + EXPANSION_BYTES


def restored(head: bytes, data: Iterable[memoryview], row_bytes: int) -> IO[bytes]:
    """Return a PNG for Pillow to read: `head`, then the rows of the zlib stream in `data`, uncompressed.

    Reading it raises what `inflated_rows` raises.
    """
    return cast("IO[bytes]", Feed(stored_chunks(head, inflated_rows(data, row_bytes))))


def inflated_rows(data: Iterable[memoryview], row_bytes: int) -> Iterator[bytes]:
    """Yield the first `row_bytes` of a zlib stream, `STORED_BYTES` at a time at most.

    Raises CorruptImage when the stream is damaged, has fewer bytes, or has no end and checksum behind them;
    UnsupportedFormat when it goes on for more than `SURPLUS_BYTES`, or takes more compressed bytes than encoders
    need for its rows (docs/measurement.md names an exception).
    """
    stream = zlib_ng.decompressobj()
    # Bytes of the rows that have not come yet. Spare ones are inflated behind them, the last of which is one too many.
    missing, spare, allowed = row_bytes, SURPLUS_BYTES + 1, most_deflated(row_bytes)
    for piece in pieces(data):
        pending: bytes | memoryview = piece
        more = True
        while more and not stream.eof:
            size = min(missing or spare, STORED_BYTES)
            block = inflate(stream, pending, size)
            # There is no more output without further data if this was not all that was asked for.
            pending, more = stream.unconsumed_tail, len(block) == size
            if missing and block:
                missing -= len(block)
                yield block
            elif not missing:
                spare -= len(block)
            if not spare:
                detail = (
                    "This PNG has more than 1 MB behind its last row, so that the checksum of its rows is not reached."
                )
                raise UnsupportedFormat(detail)
        if stream.eof:
            break
        allowed -= len(piece)
        if allowed < 0:
            raise UnsupportedFormat("The compressed data of this PNG is longer than encoders make it.")
    if not stream.eof:
        corrupt("the end of its compressed data is missing")
    if missing:
        corrupt("its last rows are missing")


def inflate(stream: Any, data: bytes | memoryview, size: int) -> bytes:  # noqa: ANN401 - zlib-ng's, which has no name
    """Return at most `size` bytes of a zlib stream. Raises CorruptImage."""
    try:
        return cast("bytes", stream.decompress(data, size))
    except zlib_ng.error as error:  # type: ignore[misc] # its stub declares an instance
        raise CorruptImage(f"The compressed data of this PNG is damaged: {error}.") from error


def pieces(data: Iterable[memoryview]) -> Iterator[memoryview]:
    """Yield the data, at most `DEFLATED_BYTES` at a time. Then yield empty bytes: output may be waiting."""
    for content in data:
        for start in range(0, len(content), DEFLATED_BYTES):
            yield content[start : start + DEFLATED_BYTES]
    yield memoryview(b"")


def stored(content: bytes | memoryview) -> Iterator[bytes | memoryview]:
    """Yield content in uncompressed blocks of a deflate stream, none of which is the last one."""
    for start in range(0, len(content), STORED_BYTES):
        block = content[start : start + STORED_BYTES]
        yield struct.pack("<BHH", 0, len(block), len(block) ^ STORED_BYTES)
        yield block


def stored_chunks(head: bytes, rows: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a PNG with uncompressed rows, one chunk at a time.

    Its checksums are zero: Pillow looks neither at those of image data nor, once it has all rows, at what comes after.
    """
    yield head + struct.pack(">I4s2sI", len(ZLIB_HEADER), b"IDAT", ZLIB_HEADER, 0)
    for block in rows:
        yield b"".join([struct.pack(">I4s", 5 + len(block), b"IDAT"), *stored(block), bytes(4)])
