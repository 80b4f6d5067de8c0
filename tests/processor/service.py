"""Asks the processor about a file, in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contract.invocation import Invocation
from contract.limits import DEFAULT_MAX_IMAGE_PIXELS
from contract.problems import ProblemCode, ProblemError
from processor.measure import measure

if TYPE_CHECKING:
    from contract.measurement import ImageFormat, Measurement

# What the processor may say of an image; every other code is the gateway's.
PROCESSOR_CODES = {ProblemCode.UNSUPPORTED_FORMAT, ProblemCode.CORRUPT_IMAGE, ProblemCode.TOO_MANY_PIXELS}


def measurement_of(
    data: bytes,
    allowed_formats: tuple[ImageFormat, ...] = ("PNG", "JPEG"),
    max_pixels: int = DEFAULT_MAX_IMAGE_PIXELS,
) -> Measurement:
    """Return the measurement of a file. Raises ProblemError."""
    return measure(Invocation(image=data, allowed_formats=allowed_formats, max_pixels=max_pixels))


def intensity_of(data: bytes) -> float:
    """Return the average intensity of a file. Raises ProblemError."""
    return measurement_of(data).average_intensity


def problem_of(
    data: bytes,
    allowed_formats: tuple[ImageFormat, ...] = ("PNG", "JPEG"),
    max_pixels: int = DEFAULT_MAX_IMAGE_PIXELS,
) -> ProblemCode:
    """Return the code that a file is refused with; fails when it is measured."""
    with pytest.raises(ProblemError) as refusal:
        measurement_of(data, allowed_formats, max_pixels)
    return refusal.value.code
