"""Measures the average grayscale intensity of images: exactly, or with an error that says why not.

They are PNGs and JPEGs, and WebPs and TIFFs if `Limits` names them.

    from image_intensity import measure

    measurement = measure("photo.jpg")    # or bytes, a Path, or a file opened with "rb"
    measurement.average_intensity         # 0 is black, 255 is white
    measurement.statistics.median         # also percentiles, entropy, ...; measurement.histogram has 256 counts

What the number depends on, a part of the image, and transparency:

    from image_intensity import Options

    measure("photo.jpg", Options(luma="bt709"))                # or "bt601", "mean"
    measure("photo.jpg", Options(region="10,20,300,200"))      # x, y, width, height, or Region(10, 20, 300, 200)
    measure("logo.png", Options(alpha="weight"))               # or "ignore", "black", "white"

A wrong value is a ValueError that has the allowed ones. How much work an image may be:

    from image_intensity import Limits

    measure("huge.png", limits=Limits(max_pixels=400_000_000, max_decoded_bytes=2_900_000_000))
    measure("photo.jpg", limits=Limits(formats=("PNG",)))      # UnsupportedFormat

What is wrong with an image is a MeasurementError, with a code and a sentence:

    from image_intensity import MeasurementError

    try:
        measure("cut.jpg")
    except MeasurementError as error:
        print(error.code, error)                               # corrupt_image This JPEG is damaged: it is cut short.

Many images, each in a process of its own, so that a crash or too much time costs one image:

    from image_intensity.slots import Slot, SlotError

    if __name__ == "__main__":
        with Slot(seconds=60) as slot:
            results = {path: slot.submit(measure, path) for path in Path("photos").iterdir()}
            for path, result in results.items():
                try:
                    print(path, result.result().average_intensity)
                except (MeasurementError, SlotError) as error:
                    print(path, error)

The types load without NumPy and Pillow, so that programs that only pass measurements on stay small. `measure` loads
both when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from image_intensity import errors
from image_intensity.errors import *  # noqa: F403 - every error, also a new one
from image_intensity.formats.table import (
    DEFAULT_FORMATS,
    FORMATS,
    ImageFormat,
    detect,
    in_words,
    media_types_of,
    suffixes_of,
)
from image_intensity.measurement import ALGORITHM_VERSION, DECODERS, Measurement, Statistics, algorithm, version
from image_intensity.options import (
    LUMA_FORMULAS,
    OPTIONS,
    Alpha,
    Limits,
    Luma,
    LumaFormula,
    Option,
    Options,
    Region,
)

if TYPE_CHECKING:
    from image_intensity.measuring import measure

__all__ = [
    "ALGORITHM_VERSION",
    "DECODERS",
    "DEFAULT_FORMATS",
    "FORMATS",
    "LUMA_FORMULAS",
    "OPTIONS",
    "Alpha",
    "ImageFormat",
    "Limits",
    "Luma",
    "LumaFormula",
    "Measurement",
    "Option",
    "Options",
    "Region",
    "Statistics",
    "algorithm",
    "detect",
    "in_words",
    "measure",
    "media_types_of",
    "suffixes_of",
    "version",
]
__all__ += errors.__all__
__version__ = "0.1.0"


def __dir__() -> list[str]:
    """Have `help` show `measure`, too."""
    return [*globals(), "measure"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - Python's own signature
    """Load `measure` when it is first asked for (PEP 562)."""
    if name != "measure":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from image_intensity.measuring import measure  # noqa: PLC0415 - it loads NumPy and Pillow

    globals()[name] = measure
    return measure
