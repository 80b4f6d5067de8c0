"""Pillow, held to one format and to its own errors."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from PIL import Image

from contract.problems import ProblemCode, ProblemError

if TYPE_CHECKING:
    from contract.measurement import ImageFormat

# The ceiling is ours, per invocation and an error; Pillow's own is global and, up to twice its value, only a warning.
Image.MAX_IMAGE_PIXELS = None

# What Pillow's PNG and JPEG plugins raise for bytes that they cannot make sense of.
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


def load(data: bytes, image_format: ImageFormat) -> Image.Image:
    """Return the first frame of `data`, decoded by the one plugin that is meant. Raises ProblemError: corrupt_image."""
    try:
        image = Image.open(io.BytesIO(data), formats=(image_format,))
        image.load()
    except UNDECODABLE as error:
        if "out of memory" in str(error):
            # Pillow reports it as a broken file; it says nothing of the image.
            raise MemoryError(str(error)) from error
        detail = f"This {image_format} file is damaged and cannot be decoded."
        raise ProblemError(ProblemCode.CORRUPT_IMAGE, detail) from error
    return image
