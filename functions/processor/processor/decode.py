"""Untrusted bytes to pixels: the content decides the format, limits come before work, damage is refused.

Pillow decodes, but it does not see every file as it came. `processor.png` and `processor.jpeg` first check the file's
structure and keep only the parts that pixels are made of: what Pillow never sees (EXIF, ICC profiles, text, further
frames) can neither trip nor exhaust it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.problems import ProblemCode, ProblemError
from processor import jpeg, png
from processor.pixels import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from contract.measurement import ImageFormat


def decode(data: bytes, allowed_formats: Sequence[ImageFormat], max_pixels: int) -> tuple[ImageFormat, Image.Image]:
    """Return the format of `data` and its first frame, loaded, in the Pillow mode that the file is stored in.

    Raises ProblemError: unsupported_format when the content is none of `allowed_formats`, too_many_pixels when it has
    more than `max_pixels` (nothing is decoded then), corrupt_image when any pixel of it would be a guess.
    """
    image_format = sniff(data)
    if image_format is None or image_format not in allowed_formats:
        accepted = " or ".join(allowed_formats)
        raise ProblemError(ProblemCode.UNSUPPORTED_FORMAT, f"The content of this file is not {accepted}.")
    structure = png.read(data) if image_format == "PNG" else jpeg.read(data)
    width, height = structure.size
    if width * height > max_pixels:
        raise ProblemError(
            ProblemCode.TOO_MANY_PIXELS,
            f"The image has {width} x {height} = {width * height:,} pixels; at most {max_pixels:,} are measured.",
        )
    structure.verify()
    return image_format, load(bytes(structure.essentials), image_format)


def sniff(data: bytes) -> ImageFormat | None:
    """Return the format that the first bytes declare, or None."""
    if data.startswith(png.SIGNATURE):
        return "PNG"
    return "JPEG" if data.startswith(jpeg.SIGNATURE) else None
