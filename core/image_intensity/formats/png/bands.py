"""The pixels of a PNG with 8 bits per sample, in bands of a few rows that fit a CPU's cache.

A row is stored as its difference to the row above it. So the PNG that Rust's `png` crate gets for a band begins with
the last row of the band before, unfiltered. Memory for a whole picture is never needed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kornia_rs import io as rust
from zlib_ng import zlib_ng

from image_intensity.formats.png import SIGNATURE
from image_intensity.formats.png.rows import LAST_BLOCK, ZLIB_HEADER, inflated_rows, stored
from image_intensity.formats.png.structure import SAMPLES, corrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from image_intensity.formats.png.structure import Png
    from image_intensity.options import Region

# Bytes of the rows in a band. Twice or half as many take some percent longer.
BAND_BYTES = 1 << 19
# The last chunk, which is empty.
IEND = b"\0\0\0\0IEND\xaeB`\x82"
# Bit depth and color type of what `kornia_rs` decodes to the samples that Pillow has -> their modes there and there.
RUST_MODES = {(8, 0): ("mono", "L"), (8, 2): ("rgb", "RGB"), (8, 6): ("rgba", "RGBA")}


def bands(picture: Png, region: Region | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield the samples of each band, or its part in `region`, in shape (rows, columns, channels).

    The passes of an interlaced picture come one after the other. Raises CorruptImage and UnsupportedFormat as
    `inflated_rows` does, and CorruptImage for a row with a filter that does not exist. All rows are decoded, also those
    outside the region.
    """
    blocks = inflated_rows(picture.deflated(), picture.row_bytes)
    rest = b""
    for scan in picture.passes:
        columns, rows = scan.columns, scan.rows
        row_bytes = 1 + columns * SAMPLES[picture.color_type]
        above = b""
        most = max(1, BAND_BYTES // row_bytes)
        for first in range(0, rows, most):
            band, rest = take(blocks, rest, min(most, rows - first) * row_bytes)
            samples = decoded(picture, columns, above, band)
            above = samples[-1].tobytes()
            if region:
                inside, across = scan.within(region)
                samples = samples[max(0, inside.start - first) : max(0, inside.stop - first), across]
            yield samples
    # The bytes after the last row are still to be checked.
    for _ in blocks:
        pass


def take(blocks: Iterator[bytes], rest: bytes, size: int) -> tuple[list[bytes], bytes]:
    """Return the next `size` bytes of `rest` and `blocks` in pieces, and what is left of the last block."""
    taken = []
    while size > len(rest):
        taken.append(rest)
        size -= len(rest)
        rest = next(blocks)
    taken.append(rest[:size])
    return taken, rest[size:]


def decoded(picture: Png, columns: int, above: bytes, band: list[bytes]) -> NDArray[np.uint8]:
    """Return the samples of the rows in `band`. above: the row over them, unfiltered; empty where there is none."""
    row_bytes = 1 + columns * SAMPLES[picture.color_type]
    if above:
        # Filter 0: the row as it is.
        band = [b"\0" + above, *band]
    rows = sum(map(len, band)) // row_bytes
    header = struct.pack(">IIBBBBB", columns, rows, picture.bit_depth, picture.color_type, 0, 0, 0)
    # The crate does not compare the checksum at the end. It was compared before.
    stream = [ZLIB_HEADER, *(part for block in band for part in stored(block)), LAST_BLOCK, bytes(4)]
    file = b"".join([SIGNATURE, *chunk(b"IHDR", [header]), *chunk(b"IDAT", stream), IEND])
    mode, _ = RUST_MODES[picture.bit_depth, picture.color_type]
    try:
        samples: NDArray[np.uint8] = rust.decode_image_png_u8(file, (rows, columns), mode)
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            # Rust panics without memory. A panic is no Exception, so callers would not catch it.
            raise MemoryError(str(error)) from error
        if type(error) is Exception:
            corrupt("its rows cannot be decoded")
        raise
    return samples[1:] if above else samples


def chunk(kind: bytes, parts: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    yield struct.pack(">I4s", sum(map(len, parts)), kind)
    yield from parts
    checksum = zlib_ng.crc32(kind)
    for part in parts:
        checksum = zlib_ng.crc32(part, checksum)
    yield struct.pack(">I", checksum)
