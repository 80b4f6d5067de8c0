"""Untrusted bytes to pixels: the content decides the format, limits come before work, damage is refused.

Decoders do not see a file as it came. `processor.png` and `processor.jpeg` first check the file's structure and keep
only the parts that pixels are made of: what they never see (EXIF, ICC profiles, text, further frames) can neither trip
nor exhaust them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.limits import MAX_DECODED_BYTES
from contract.problems import ProblemCode, ProblemError
from processor import jpeg, png
from processor.pixels import KEPT_BYTES, kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contract.measurement import ImageFormat
    from processor.pixels import Pixels


@dataclass(frozen=True, slots=True)
class Picture:
    """The first frame of a file, decoded, and what the file says of itself."""

    image_format: ImageFormat
    structure: png.Png | jpeg.Jpeg
    pixels: Pixels


def decode(data: bytes, allowed_formats: Sequence[ImageFormat], max_pixels: int) -> Picture:
    """Return the first frame of `data`.

    Raises ProblemError: unsupported_format when the content is none of `allowed_formats`, too_many_pixels when it has
    more than `max_pixels` or they take more memory than there is (nothing is decoded then), corrupt_image when any
    pixel of it would be a guess.
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
    if structure.decoded_bytes > MAX_DECODED_BYTES:
        raise ProblemError(
            ProblemCode.TOO_MANY_PIXELS,
            f"The image has {width} x {height} = {width * height:,} pixels, and as it is stored, decoding takes "
            f"{structure.decoded_bytes:,} bytes of memory; at most {MAX_DECODED_BYTES:,} are used.",
        )
    if structure.decoded_bytes > KEPT_BYTES:
        # The memory of a large picture is counted to the last of it.
        kept.clear()
    return Picture(image_format, structure, structure.decode())


def sniff(data: bytes) -> ImageFormat | None:
    """Return the format that the first bytes declare, or None."""
    if data.startswith(png.SIGNATURE):
        return "PNG"
    return "JPEG" if data.startswith(jpeg.SIGNATURE) else None
