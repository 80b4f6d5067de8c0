"""The pixels of a TIFF whose structure has been read, a few rows of strips or tiles at a time.

Pillow decodes them from files that hold nothing else (see `rebuilding`). Strips and tiles of JPEG go the way of other
JPEGs (see `jpegs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops

from image_intensity.formats.jpeg import decoding as jpeg
from image_intensity.formats.tiff.jpegs import read_jpeg
from image_intensity.formats.tiff.picture import BYTE, CMYK, JPEG, PALETTE, WHITE_IS_ZERO, Tiff
from image_intensity.formats.tiff.rebuilding import byte_order, rebuilt
from image_intensity.formats.tiff.unpacking import check_work, unpacked
from image_intensity.options import Region
from image_intensity.pixels import Pixels, from_image, load

if TYPE_CHECKING:
    from collections.abc import Iterator

# Pillow's modes of colors by the number of samples, and of those with alpha.
MODES, ALPHA_MODES, ALPHA = {1: "L", 3: "RGB", 4: "CMYK"}, {1: "LA", 3: "RGBA"}, 2


def decode(picture: Tiff, region: Region | None = None) -> Pixels:
    """Return the pixels, or those of a region. All strips and tiles are decoded and checked when its strips are read.

    Raises CorruptImage when one is damaged; UnsupportedFormat for compressed data that takes far longer than what
    encoders write.
    """
    check_work(picture)
    values = 1 << max(BYTE, picture.bit_depth)
    return Pixels(mode_of(picture), picture.size, strips(picture, region or Region(0, 0, *picture.size)), values)


def mode_of(picture: Tiff) -> str:
    if picture.photometric == PALETTE:
        return "P"
    if picture.samples == 1 and picture.bit_depth > BYTE:
        return "I;16" if byte_order(picture) == "<" else "I;16B"
    colors = picture.samples - len(picture.extra)
    if colors == picture.bit_depth == 1:
        return "1"
    return ALPHA_MODES[colors] if picture.extra[:1] == (ALPHA,) else MODES[colors]


def strips(picture: Tiff, region: Region) -> Iterator[Image.Image]:
    in_jpeg = picture.compression == JPEG
    # Pillow inverts the others itself. It also inverts CMYK in JPEG, as files that are nothing else want it.
    inverts = (picture.photometric == WHITE_IS_ZERO and (in_jpeg or picture.bit_depth > BYTE)) or (
        picture.photometric == CMYK and in_jpeg
    )
    highest = (1 << picture.bit_depth) - 1
    for pixels in jpegs(picture, region) if in_jpeg else bands(picture, region):
        for strip in pixels.strips:
            yield inverted(strip, highest) if inverts else strip


def inverted(strip: Image.Image, highest: int) -> Image.Image:
    """Return a strip with each sample taken from the highest value."""
    if strip.mode.startswith("I;16"):
        return Image.fromarray(highest - np.asarray(strip, np.uint16))
    return ImageChops.invert(strip)


def bands(picture: Tiff, region: Region) -> Iterator[Pixels]:
    """Decode band after band, and return the pixels of each that are in a region."""
    across, down = picture.grid
    width, height = picture.size
    for first, last in picture.bands():
        top = first * picture.part[1]
        rows = min(last * picture.part[1], height) - top
        planes = range(0, len(picture.parts), across * down)
        indices = (plane + index for plane in planes for index in range(first * across, last * across))
        image = load(rebuilt(picture, rows, [unpacked(picture, index) for index in indices]), "TIFF")
        if part := common(region, Region(0, top, width, rows)):
            yield from_image(image, None if part.pixel_count == width * rows else part)


def jpegs(picture: Tiff, region: Region) -> Iterator[Pixels]:
    """Decode strip after strip, or tile after tile, and return the pixels of each that are in a region."""
    across, _ = picture.grid
    (width, height), (part_width, part_height) = picture.size, picture.part
    for index in range(len(picture.parts)):
        down, right = divmod(index, across)
        left, top = right * part_width, down * part_height
        area = Region(left, top, min(part_width, width - left), min(part_height, height - top))
        part = common(region, area)
        # What is outside the region is decoded to see that it is sound.
        pixels = jpeg.decode(read_jpeg(picture, index), part or Region(0, 0, 1, 1))
        if part:
            yield pixels


def common(region: Region, area: Region) -> Region | None:
    """Return the part of a region that is in an area, counted from the corner of the area; None if there is none."""
    left, top = max(region.x, area.x), max(region.y, area.y)
    right = min(region.x + region.width, area.x + area.width)
    bottom = min(region.y + region.height, area.y + area.height)
    if left >= right or top >= bottom:
        return None
    return Region(left - area.x, top - area.y, right - left, bottom - top)
