"""The measurement: the average grayscale intensity of an image, exactly, and the distribution that it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import isal
import kornia_rs
import PIL
import simplejpeg
from PIL import features

from contract.measurement import Measurement
from processor import summary
from processor.decode import decode
from processor.levels import VALUES, count
from processor.storage import content

if TYPE_CHECKING:
    from contract.invocation import Invocation

# What decodes here, for the record.
DECODERS = {
    "pillow": PIL.__version__,
    "simplejpeg": simplejpeg.__version__,
    "libjpeg-turbo": features.version("libjpeg_turbo") or "none",
    "kornia-rs": kornia_rs.__version__,
    "isal": isal.__version__,
}


def measure(invocation: Invocation) -> Measurement:
    """Decode the image of `invocation` and measure it.

    8-bit: BT.601 luma, (19595 R + 38470 G + 7471 B + 32768) >> 16, as Pillow's `convert("L")` has it; the average is
    the same float64 as `numpy.asarray(image.convert("L")).mean()`. 16-bit gray: the full-depth samples over 257.

    Raises ProblemError: unsupported_format, corrupt_image or too_many_pixels (see `processor.decode` and `levels`);
    upload_missing or upload_mismatch (`storage`).
    """
    image = content(invocation.image)
    picture = decode(image, invocation.allowed_formats, invocation.max_pixels)
    counts = count(picture, invocation.options)
    width, height = picture.pixels.size
    return Measurement(
        average_intensity=summary.mean(counts),
        image_format=picture.image_format,
        image_size=(width, height),
        original_mode=picture.pixels.mode,
        pixel_count=width * height,
        image_size_bytes=len(image),
        statistics=summary.statistics(counts),
        histogram=summary.histogram(counts),
        options=invocation.options,
        stored_bit_depth=picture.structure.bit_depth,
        bit_depth=8 if counts.size == VALUES else 16,
        frames=picture.structure.frames,
        decoders=DECODERS,
    )
