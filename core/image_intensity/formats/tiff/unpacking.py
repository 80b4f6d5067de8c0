"""Strips and tiles, checked before libtiff decodes them: it leaves some damage unsaid.

Deflate has a checksum, which zlib-ng compares. PackBits has lengths alone. LZW is left to libtiff, which refuses codes
that do not exist and data that ends early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zlib_ng import zlib_ng

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.png.blocks import check_blocks
from image_intensity.formats.png.rows import most_deflated
from image_intensity.formats.tiff.picture import PACKBITS, corrupt
from image_intensity.formats.tiff.structure import check_length

if TYPE_CHECKING:
    from image_intensity.formats.tiff.picture import Tiff

# PackBits (TIFF 6.0, section 9): a number up to this is one less than the bytes that follow. It stands for nothing; a
# higher one is a repetition of the next byte.
NOTHING, REPEATS = 128, 257


def check_work(picture: Tiff) -> None:
    """Raise UnsupportedFormat if its zlib streams take far longer than those that encoders write."""
    if not picture.deflated:
        return
    rows = picture.row_bytes * picture.part[1] * len(picture.parts)
    if sum(map(len, picture.parts)) > most_deflated(rows):
        raise UnsupportedFormat("The compressed data of this TIFF is longer than encoders make it.")
    check_blocks(picture.parts)


def unpacked(picture: Tiff, index: int) -> bytes | memoryview:
    """Return strip or tile `index`, checked, and inflated if it was deflated. Raises CorruptImage."""
    part = picture.parts[index]
    if picture.deflated:
        samples = inflated(part, picture.part[1] * picture.row_bytes)
        return samples[: check_length(picture, index, len(samples))]
    if picture.compression == PACKBITS:
        check_length(picture, index, packed_length(bytes(part)))
    return part


def inflated(part: memoryview, most: int) -> bytes:
    """Return the content of a zlib stream, with its end and checksum. Raises CorruptImage."""
    stream = zlib_ng.decompressobj()
    try:
        content = stream.decompress(part, most + 1)
    except zlib_ng.error as error:  # type: ignore[misc] # its stub declares an instance
        corrupt(f"its compressed data is not valid ({error})")
    if not stream.eof:
        corrupt("the end of its compressed data is missing")
    return content


def packed_length(part: bytes) -> int:
    """Return how many bytes PackBits data stands for. Raises CorruptImage if it ends too early."""
    place = total = 0
    end = len(part)
    while place < end:
        number = part[place]
        if number < NOTHING:
            place += number + 2
            total += number + 1
        elif number > NOTHING:
            place += 2
            total += REPEATS - number
        else:
            place += 1
    if place > end:
        corrupt("it is cut short")
    return total
