"""The measurement: the average grayscale intensity of an image, exactly, and the distribution that it comes from."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import kornia_rs
import PIL
import simplejpeg
import zlib_ng
from PIL import features

from image_intensity import formats, summary
from image_intensity.errors import RegionOutsideImage
from image_intensity.formats.table import FORMATS
from image_intensity.levels import count
from image_intensity.measurement import Measurement, algorithm
from image_intensity.options import Limits, Options
from image_intensity.pixels import make_room

if TYPE_CHECKING:
    from collections.abc import Callable

# By the number of gray values.
BIT_DEPTHS: dict[int, Literal[8, 12, 16]] = {1 << 8: 8, 1 << 12: 12, 1 << 16: 16}
DEFAULT_OPTIONS, DEFAULT_LIMITS = Options(), Limits()
# The decoders of this installation: each measurement carries their versions, and those of its own format.
DECODERS = {
    "pillow": PIL.__version__,
    "simplejpeg": simplejpeg.__version__,
    "libjpeg-turbo": features.version("libjpeg_turbo") or "none",
    "kornia-rs": kornia_rs.__version__,
    "zlib-ng": zlib_ng.__version__,
}
OWN_DECODERS = {
    name: {library: features.version(feature) or "none" for library, feature in facts.decoders.items()}
    for name, facts in FORMATS.items()
}
# A process that measures has all decoders before its first image.
for image_format in FORMATS:
    formats.load(image_format)


def measure(
    data: bytes | str | os.PathLike[str] | BinaryIO,
    options: Options = DEFAULT_OPTIONS,
    limits: Limits = DEFAULT_LIMITS,
    reserve: Callable[[int], None] | None = None,
) -> Measurement:
    """Measure the first frame of a file: a PNG or a JPEG, or what else `limits` names.

    8-bit: BT.601 luma, (19595 R + 38470 G + 7471 B + 32768) >> 16, as Pillow's `convert("L")` has it. The average is
    the same float64 as `numpy.asarray(image.convert("L")).mean()`. 16-bit gray: the full-depth samples over 257.

    data: the file, as its bytes, its path, or opened with "rb"; it is read to its end.
    options: what the number depends on. limits: how much work the image may be.
    reserve: is called with the bytes of memory that decoding will take, before it begins. It may wait until they are
    free, or raise an error, which ends the measurement.

    Raises MeasurementError: EmptyFile, UnsupportedFormat, CorruptImage, TooManyPixels or RegionOutsideImage.
    MemoryError is not one of them: it says nothing of the image. A path that cannot be read raises OSError.
    """
    data = content(data)
    image_format, structure = formats.read(data, limits)
    region, (width, height) = options.region, structure.size
    if region and not region.is_in(structure.size):
        raise RegionOutsideImage(
            f"The region {region} needs an image of at least {region.x + region.width} x {region.y + region.height} "
            f"pixels; this one has {width} x {height} as stored."
        )
    if reserve:
        reserve(structure.decoded_bytes)
    make_room(structure.decoded_bytes)
    pixels = formats.decode(image_format, structure, region)
    counts = count(pixels, structure, options)
    width, height = pixels.size
    return Measurement(
        average_intensity=summary.mean(counts),
        image_format=image_format,
        image_size=(width, height),
        original_mode=pixels.mode,
        pixel_count=region.pixel_count if region else width * height,
        image_size_bytes=len(data),
        statistics=summary.statistics(counts),
        histogram=summary.histogram(counts),
        options=options,
        algorithm=algorithm(options),
        stored_bit_depth=structure.bit_depth,
        bit_depth=BIT_DEPTHS[counts.size],
        frames=structure.frames,
        decoders={**DECODERS, **OWN_DECODERS[image_format]},
    )


def content(data: object) -> bytes:
    """Return the bytes of a file. Raises TypeError for what is no file, and OSError."""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    if isinstance(data, str | os.PathLike):
        return Path(data).read_bytes()
    # A file of text would decode its bytes first.
    read = None if isinstance(data, io.TextIOBase) else getattr(data, "read", None)
    if read and isinstance(found := read(), bytes):
        return found
    raise TypeError(f'measure takes bytes, a path (str or Path) or a file opened with "rb", not {type(data).__name__}')
