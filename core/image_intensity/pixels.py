"""Decoded pixels, in strips: from a Pillow image, or from samples in memory that is used again."""

from __future__ import annotations

import struct
import zlib
from dataclasses import astuple, dataclass
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image

from image_intensity.errors import CorruptImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from image_intensity.formats.table import ImageFormat
    from image_intensity.options import Region

# `Limits` has the limit. Pillow's own is global, and up to twice its value it only warns.
Image.MAX_IMAGE_PIXELS = None

# Pixels of a strip. A strip and its gray values fit into the CPU's cache, and there are not too many strips.
STRIP_PIXELS = 1 << 19
# One block of memory for samples is kept for the next picture, because new pages of memory cost a tenth of decoding a
# JPEG. It holds at most 16 megapixels in color.
KEPT_BYTES = 1 << 26
kept: list[NDArray[np.uint8]] = []

# The errors of Pillow's PNG and JPEG plugins for damaged bytes.
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


def load(file: IO[bytes], image_format: ImageFormat) -> Image.Image:
    """Return the first frame of `file`, decoded by the plugin for `image_format`. Raises CorruptImage."""
    try:
        image = Image.open(file, formats=(image_format,))
        image.load()
    except UNDECODABLE as error:
        if "out of memory" in str(error):
            # Pillow reports a lack of memory as a broken file.
            raise MemoryError(str(error)) from error
        raise CorruptImage(f"This {image_format} file is damaged and cannot be decoded.") from error
    return image


@dataclass(frozen=True, slots=True)
class Pixels:
    """A decoded picture, or the pixels of a region in it. Its strips can be read once.

    mode: the Pillow mode that the file is stored in. size: width and height of the picture. strips: images with the
    pixels, each once, in any order and shape, in this mode. RGB may come as RGBX: its fourth byte has no meaning. Use a
    strip before you ask for the next one: they may share memory. values: how many gray values mode I;16 may have.
    """

    mode: str
    size: tuple[int, int]
    strips: Iterator[Image.Image]
    values: int = 1 << 16


def from_image(image: Image.Image, region: Region | None = None) -> Pixels:
    """Return the pixels of an image, or of a region: in copies of a few rows, or in one piece where none is needed."""
    if region is None and image.mode in {"1", "L", "P"}:
        return Pixels(image.mode, image.size, iter([image]))
    left, top, width, height = astuple(region) if region else (0, 0, *image.size)
    right, bottom = left + width, top + height
    rows, columns = max(1, STRIP_PIXELS // width), min(width, STRIP_PIXELS)
    corners = ((x, y) for y in range(top, bottom, rows) for x in range(left, right, columns))
    boxes = ((x, y, min(x + columns, right), min(y + rows, bottom)) for x, y in corners)
    return Pixels(image.mode, image.size, (image.crop(box) for box in boxes))


def make_room(size: int) -> None:
    """Free the kept block before a picture is decoded that needs memory for itself: `size` bytes."""
    if size > KEPT_BYTES:
        kept.clear()


def lend(size: int) -> NDArray[np.uint8] | None:
    """Return memory for `size` bytes of samples or more, of shape (bytes,); None for more than `KEPT_BYTES`.

    `from_samples` takes it back after the last strip. Until then no other caller gets it.
    """
    if size > KEPT_BYTES:
        return None
    try:
        memory = kept.pop()
    except IndexError:
        memory = np.empty(0, np.uint8)
    return memory if memory.size >= size else np.empty(size, np.uint8)


def from_samples(
    samples: NDArray[np.uint8], mode: str, lent: NDArray[np.uint8] | None = None, region: Region | None = None
) -> Pixels:
    """Return the pixels in samples of shape (height, width, channels), or those of a region in it.

    Only RGB with three channels, and a region of fewer columns, are copied, a strip at a time. mode: L, RGB or RGBA. In
    RGB with four channels the fourth has no meaning. lent: the memory from `lend`, if any.
    """
    height, width, channels = samples.shape
    stored = "RGBX" if (mode, channels) == ("RGB", 4) else mode
    if region:
        samples = samples[region.y : region.y + region.height, region.x : region.x + region.width]

    def strips() -> Iterator[Image.Image]:
        try:
            for part in runs(samples):
                yield Image.frombuffer(stored, (len(part), 1), part, "raw", stored, 0, 1)
        finally:
            if lent is not None:
                kept[:] = [lent]

    return Pixels(mode, (width, height), strips())


def runs(samples: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield samples of shape (height, width, channels) as pixels, shape (`STRIP_PIXELS` at most, channels).

    Rows that do not follow each other in memory, because they are a part of longer ones, are copied: a few at a time.
    """
    height, width, channels = samples.shape
    if not samples.size:
        return
    rows = height if samples.flags.c_contiguous else max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        # Not `reshape` alone: a single column stays a view with gaps, which Pillow does not take.
        pixels = np.ascontiguousarray(samples[top : top + rows]).reshape(-1, channels)
        for start in range(0, len(pixels), STRIP_PIXELS):
            yield pixels[start : start + STRIP_PIXELS]
