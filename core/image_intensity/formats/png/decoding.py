"""The pixels of a PNG whose structure has been read.

Rust's `png` crate (in `kornia_rs`) makes the pixels of pictures with 8 bits per sample, in a third of Pillow's time.
Pillow makes the others: palettes, gray with alpha, other depths. Neither notices all damage: the crate does not compare
the checksum of the rows, and Pillow leaves missing rows black without an error. So both get rows that zlib-ng has
inflated, counted and checked (see `rows`).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.png import SIGNATURE
from image_intensity.formats.png.bands import RUST_MODES, bands
from image_intensity.formats.png.blocks import check_blocks
from image_intensity.formats.png.rows import restored
from image_intensity.formats.png.structure import SAMPLES
from image_intensity.pixels import Pixels, from_image, from_samples, load

if TYPE_CHECKING:
    from image_intensity.formats.png.structure import Png
    from image_intensity.options import Region

# Pillow counts the bits of a row in an int, filled up to whole bytes. So the two rows that it unpacks at a time take at
# most 537 MB.
ROW_BITS = 2**31 - 1 - 7 * 64
# Each row costs up to 80 ns, also a short one, and 200 million rows of one pixel fit into 0.4 MB.
MAX_ROWS = 5_000_000


def decode(picture: Png, region: Region | None = None) -> Pixels:
    """Return the pixels, or those of a region. All rows are decoded and checked.

    Raises CorruptImage when the data is damaged or rows are missing; UnsupportedFormat when a row is too long for
    Pillow, or there are too many rows, or blocks of compressed data. Pictures that are decoded in bands raise it when
    their strips are read.
    """
    if picture.size[0] * SAMPLES[picture.color_type] * picture.bit_depth > ROW_BITS:
        raise UnsupportedFormat("The rows of this PNG are too long to be measured.")
    if picture.size[1] > MAX_ROWS:
        raise UnsupportedFormat(f"This PNG has {picture.size[1]:,} rows; at most {MAX_ROWS:,} are measured.")
    check_blocks(picture.deflated())
    if picture.in_bands:
        _, mode = RUST_MODES[picture.bit_depth, picture.color_type]
        strips = (from_samples(samples, mode).strips for samples in bands(picture, region))
        return Pixels(mode, picture.size, chain.from_iterable(strips))
    file = restored(SIGNATURE + picture.head, picture.deflated(), picture.row_bytes)
    return from_image(load(file, "PNG"), region)
