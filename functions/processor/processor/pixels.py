"""Pillow, held to one format and to its own errors."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from PIL import Image

from contract.problems import ProblemCode, ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from contract.measurement import ImageFormat

# The ceiling is ours, per invocation and an error; Pillow's own is global and, up to twice its value, only a warning.
Image.MAX_IMAGE_PIXELS = None

# Pixels of a strip: it and its gray values stay in a core's cache of 1 MB or so, and there are few of them.
STRIP_PIXELS = 1 << 18

# What Pillow's PNG and JPEG plugins raise for bytes that they cannot make sense of.
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


def load(file: IO[bytes], image_format: ImageFormat) -> Image.Image:
    """Return the first frame of `file`, decoded by the one plugin that is meant. Raises ProblemError: corrupt_image."""
    try:
        image = Image.open(file, formats=(image_format,))
        image.load()
    except UNDECODABLE as error:
        if "out of memory" in str(error):
            # Pillow reports it as a broken file; it says nothing of the image.
            raise MemoryError(str(error)) from error
        detail = f"This {image_format} file is damaged and cannot be decoded."
        raise ProblemError(ProblemCode.CORRUPT_IMAGE, detail) from error
    return image


@dataclass(frozen=True, slots=True)
class Pixels:
    """A decoded picture, to be looked at once.

    mode: the Pillow mode that the file is stored in. size: width and height. strips: images of a few rows, or of a part
    of a very long one, from top to bottom, in this mode; RGB may come as RGBX, which has a fourth byte that means
    nothing.
    """

    mode: str
    size: tuple[int, int]
    strips: Iterator[Image.Image]


def from_image(image: Image.Image) -> Pixels:
    """Return the pixels of an image, in copies of a few rows at a time; what needs no conversion stays in one piece."""
    width, height = image.size
    if image.mode in {"1", "L", "P"}:
        return Pixels(image.mode, image.size, iter([image]))
    rows, columns = strip_rows(width), min(width, STRIP_PIXELS)
    corners = ((left, top) for top in range(0, height, rows) for left in range(0, width, columns))
    boxes = ((left, top, min(left + columns, width), min(top + rows, height)) for left, top in corners)
    return Pixels(image.mode, image.size, (image.crop(box) for box in boxes))


def from_samples(samples: NDArray[np.uint8]) -> Pixels:
    """Return the pixels in samples of shape (height, width, 1), gray, or (height, width, 4), RGBX: without a copy."""
    height, width, channels = samples.shape
    mode, buffered = ("L", "L") if channels == 1 else ("RGB", "RGBX")
    rows = strip_rows(width)
    parts = (samples[top : top + rows] for top in range(0, height, rows))
    strips = (Image.frombuffer(buffered, (width, len(part)), part, "raw", buffered, 0, 1) for part in parts)
    return Pixels(mode, (width, height), strips)


def strip_rows(width: int) -> int:
    """Return how many rows of an image of `width` pixels make a strip."""
    return max(1, STRIP_PIXELS // width)
