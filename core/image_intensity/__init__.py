"""Measures the average grayscale intensity of PNGs and JPEGs: exactly, or with an error that says why not.

    from image_intensity import measure

    measurement = measure(Path("photo.jpg").read_bytes())
    print(measurement.average_intensity)  # 0 is black, 255 is white

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


def __getattr__(name: str) -> Any:  # noqa: ANN401 - Python's own signature
    """Load `measure` when it is first asked for (PEP 562)."""
    if name != "measure":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from image_intensity.measuring import measure  # noqa: PLC0415 - it loads NumPy and Pillow

    globals()[name] = measure
    return measure
