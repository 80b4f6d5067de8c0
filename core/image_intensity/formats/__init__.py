"""Untrusted bytes to pixels: the content decides the format, limits come before work, damage is refused.

Decoders do not see a file as it came. Each format first checks the file's structure and keeps only the parts that
pixels are made of. EXIF, ICC profiles, texts and further frames are left out, so they can neither break a decoder nor
use up its memory.

A further format is one package beside `png` and `jpeg` and one row of `table`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from image_intensity.errors import EmptyFile, TooManyPixels, UnsupportedFormat
from image_intensity.formats.table import detect, in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_intensity.formats.table import ImageFormat
    from image_intensity.options import Limits, Region
    from image_intensity.pixels import Pixels


@dataclass(slots=True)
class Structure:
    """The facts about the first frame of a file, read and checked without decoding a pixel.

    size: width and height in pixels, as stored. bit_depth: bits per sample. frames: pictures in the file, as it
    declares.
    """

    size: tuple[int, int] = (0, 0)
    bit_depth: int = 8
    frames: int = 1

    @property
    def decoded_bytes(self) -> int:
        """Bytes of memory that decoding takes at its peak, beside the file."""
        raise NotImplementedError

    def transparency(self) -> tuple[int, ...]:
        """Return the alphas of the first palette entries, or the transparent gray value or color; empty for none.

        Raises CorruptImage or UnsupportedFormat when the file declares a transparency that cannot be told.
        """
        return ()


@cache
def load(image_format: ImageFormat) -> tuple[Callable[[bytes], Structure], Callable[[Any, Region | None], Pixels]]:
    """Load the modules of a format, and its decoders with them. Return what reads its structure, and what decodes it.

    `read` is for files that have the signature. `decode` takes what it returned, and gives the pixels of a region, or
    all for None. Both raise CorruptImage, if any pixel of the frame would be a guess, and UnsupportedFormat.
    """
    package = f"{__name__}.{image_format.lower()}"
    return import_module(f"{package}.structure").read, import_module(f"{package}.decoding").decode


def read(data: bytes, limits: Limits) -> tuple[ImageFormat, Structure]:
    """Return the format of a file and its structure, if they are within `limits`.

    Raises EmptyFile; UnsupportedFormat when the content is not an allowed format; TooManyPixels when the first frame
    has too many pixels, or they take too much memory; CorruptImage when the structure is damaged.
    """
    if not data:
        raise EmptyFile("The file has no bytes.")
    image_format = detect(data)
    if image_format is None or image_format not in limits.formats:
        raise UnsupportedFormat(f"The content of this file is not {in_words(limits.formats)}.")
    structure = load(image_format)[0](data)
    width, height = structure.size
    pixels = f"The image has {width} x {height} = {width * height:,} pixels"
    if width * height > limits.max_pixels:
        raise TooManyPixels(f"{pixels}; at most {limits.max_pixels:,} are measured.")
    if structure.decoded_bytes > limits.max_decoded_bytes:
        raise TooManyPixels(
            f"{pixels}, and as it is stored, decoding takes {structure.decoded_bytes:,} bytes of memory; at most "
            f"{limits.max_decoded_bytes:,} are used."
        )
    return image_format, structure


def decode(image_format: ImageFormat, structure: Structure, region: Region | None = None) -> Pixels:
    """Return the pixels of the first frame, or those in a region that is inside it."""
    return load(image_format)[1](structure, region)
