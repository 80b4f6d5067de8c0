"""Asks the core about a file, in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from image_intensity import Limits, MeasurementError, measure

if TYPE_CHECKING:
    from image_intensity import ImageFormat, Measurement

MAX_PIXELS = 64_000_000


def measurement_of(
    data: bytes, allowed_formats: tuple[ImageFormat, ...] = ("PNG", "JPEG"), max_pixels: int = MAX_PIXELS
) -> Measurement:
    """Return the measurement of a file. Raises MeasurementError."""
    return measure(data, limits=Limits(formats=allowed_formats, max_pixels=max_pixels))


def intensity_of(data: bytes) -> float:
    """Return the average intensity of a file. Raises MeasurementError."""
    return measurement_of(data).average_intensity


def problem_of(
    data: bytes, allowed_formats: tuple[ImageFormat, ...] = ("PNG", "JPEG"), max_pixels: int = MAX_PIXELS
) -> type[MeasurementError]:
    """Return the error that a file is refused with; fails when it is measured."""
    with pytest.raises(MeasurementError) as refusal:
        measurement_of(data, allowed_formats, max_pixels)
    return refusal.type
