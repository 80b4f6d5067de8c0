"""Untrusted bytes to pixels: the content decides the format, limits come before work, damage is refused.

Decoders do not see a file as it came. Each format first checks the file's structure and keeps only the parts that
pixels are made of. EXIF, ICC profiles, texts and further frames are left out, so they can neither break a decoder nor
use up its memory.

A further format is one module beside `png` and `jpeg`, one line in `FORMATS`, and its name in `options.ImageFormat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from image_intensity.errors import EmptyFile, TooManyPixels, UnsupportedFormat
from image_intensity.formats import jpeg, png
from image_intensity.pixels import KEPT_BYTES, kept

if TYPE_CHECKING:
    from image_intensity.options import ImageFormat, Limits, Region
    from image_intensity.pixels import Pixels


class Structure(Protocol):
    """The facts about the first frame of a file, read and checked without decoding a pixel."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as stored."""

    @property
    def bit_depth(self) -> int:
        """Bits per sample in the file."""

    @property
    def frames(self) -> int:
        """Pictures in the file, as it declares."""

    @property
    def decoded_bytes(self) -> int:
        """Bytes of memory that decoding takes at its peak, beside the file."""

    def transparency(self) -> tuple[int, ...]:
        """Return the alphas of the first palette entries, or the transparent gray value or color; empty for none.

        Raises CorruptImage or UnsupportedFormat when the file declares a transparency that cannot be told.
        """


AnyStructure = TypeVar("AnyStructure", bound=Structure)


class Format(Protocol[AnyStructure]):
    """A format that is measured, such as the modules `png` and `jpeg`."""

    @property
    def SIGNATURE(self) -> bytes:  # noqa: N802 - a constant of the module
        """The first bytes of every file of this format."""

    def read(self, data: bytes, /) -> AnyStructure:
        """Read the structure of a file that starts with `SIGNATURE`. Raises CorruptImage or UnsupportedFormat."""

    def decode(self, structure: AnyStructure, region: Region | None, /) -> Pixels:
        """Decode the first frame, and return the pixels of `region`, or all if it is None.

        Raises UnsupportedFormat, or CorruptImage if any pixel of the frame would be a guess, also outside the region.
        """


FORMATS: dict[ImageFormat, Format[Any]] = {"PNG": png, "JPEG": jpeg}


def detect(data: bytes) -> ImageFormat | None:
    """Return the format that the first bytes declare, or None."""
    return next((name for name, known in FORMATS.items() if data.startswith(known.SIGNATURE)), None)


def read(data: bytes, limits: Limits) -> tuple[ImageFormat, Structure]:
    """Return the format of a file and its structure, if they are within `limits`.

    Raises EmptyFile; UnsupportedFormat when the content is not an allowed format; TooManyPixels when the first frame
    has too many pixels, or they take too much memory; CorruptImage when the structure is damaged.
    """
    if not data:
        raise EmptyFile("The file has no bytes.")
    image_format = detect(data)
    if image_format is None or image_format not in limits.formats:
        raise UnsupportedFormat(f"The content of this file is not {' or '.join(limits.formats)}.")
    structure: Structure = FORMATS[image_format].read(data)
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
    """Return the pixels of the first frame, or those in a region that is inside it.

    Raises CorruptImage if any pixel would be a guess, also outside the region.
    """
    if structure.decoded_bytes > KEPT_BYTES:
        # Free this memory first: a large picture needs it.
        kept.clear()
    return FORMATS[image_format].decode(structure, region)
