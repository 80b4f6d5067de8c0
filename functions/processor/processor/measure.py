"""The measurement: the average grayscale intensity of an image, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.measurement import Measurement
from processor.decode import decode

if TYPE_CHECKING:
    from PIL import Image

    from contract.invocation import Invocation

# One 8-bit step in 16-bit ones: 65535 / 255, so that full white is 255 at either depth.
SIXTEEN_BIT_STEP = 257


def measure(invocation: Invocation) -> Measurement:
    """Decode the image of `invocation` and measure it.

    Raises ProblemError: unsupported_format, corrupt_image or too_many_pixels (see `processor.decode`).
    """
    image_format, image = decode(invocation.image, invocation.allowed_formats, invocation.max_pixels)
    return Measurement(
        average_intensity=average_intensity(image),
        image_format=image_format,
        image_size=image.size,
        original_mode=image.mode,
        pixel_count=image.width * image.height,
        image_size_bytes=len(invocation.image),
    )


def average_intensity(image: Image.Image) -> float:
    """Return the mean grayscale value of a decoded image, on the scale 0 (black) to 255 (white).

    8-bit: ITU-R BT.601 luma, (19595 R + 38470 G + 7471 B + 32768) >> 16, as Pillow's `convert("L")` has it; the same
    float64 as `numpy.asarray(image.convert("L")).mean()`. 16-bit gray: the mean of the full-depth samples over 257.

    The sum is an exact integer and is divided once, so the result is the float64 nearest to the true mean.
    """
    pixels = image.width * image.height
    if image.mode.startswith("I;16"):
        import numpy as np  # noqa: PLC0415 - 16-bit gray alone needs it, and it is half of the processor's start

        return int(np.asarray(image).sum(dtype=np.uint64)) / (SIXTEEN_BIT_STEP * pixels)
    # The histogram of an 8-bit image holds its sum, and Pillow counts it in C.
    return sum(value * count for value, count in enumerate(image.convert("L").histogram())) / pixels
