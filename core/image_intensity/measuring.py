"""The measurement: the average grayscale intensity of an image, exactly, and the distribution that it comes from."""

from __future__ import annotations

import kornia_rs
import PIL
import simplejpeg
import zlib_ng
from PIL import features

from image_intensity import formats, summary
from image_intensity.levels import VALUES, count
from image_intensity.measurement import Measurement
from image_intensity.options import Limits, Options

DEFAULT_OPTIONS, DEFAULT_LIMITS = Options(), Limits()
# The decoders of this installation: each measurement carries their versions.
DECODERS = {
    "pillow": PIL.__version__,
    "simplejpeg": simplejpeg.__version__,
    "libjpeg-turbo": features.version("libjpeg_turbo") or "none",
    "kornia-rs": kornia_rs.__version__,
    "zlib-ng": zlib_ng.__version__,
}


def measure(data: bytes, options: Options = DEFAULT_OPTIONS, limits: Limits = DEFAULT_LIMITS) -> Measurement:
    """Measure the first frame of a PNG or JPEG file.

    8-bit: BT.601 luma, (19595 R + 38470 G + 7471 B + 32768) >> 16, as Pillow's `convert("L")` has it. The average is
    the same float64 as `numpy.asarray(image.convert("L")).mean()`. 16-bit gray: the full-depth samples over 257.

    data: the whole file. options: what the number depends on. limits: how much work the image may be.
    Raises MeasurementError: EmptyFile, UnsupportedFormat, CorruptImage or TooManyPixels. MemoryError is not one of
    them: it says nothing of the image.
    """
    image_format, structure = formats.read(data, limits)
    pixels = formats.decode(image_format, structure)
    counts = count(pixels, structure, options)
    width, height = pixels.size
    return Measurement(
        average_intensity=summary.mean(counts),
        image_format=image_format,
        image_size=(width, height),
        original_mode=pixels.mode,
        pixel_count=width * height,
        image_size_bytes=len(data),
        statistics=summary.statistics(counts),
        histogram=summary.histogram(counts),
        options=options,
        stored_bit_depth=structure.bit_depth,
        bit_depth=8 if counts.size == VALUES else 16,
        frames=structure.frames,
        decoders=DECODERS,
    )
