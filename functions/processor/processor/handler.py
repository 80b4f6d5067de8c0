"""The Lambda entry point: from event to measurement and back to an answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pybase64 import b64decode

from contract.invocation import Invocation, measured, refused
from contract.problems import ProblemCode, ProblemError
from image_intensity import Limits, MeasurementError
from image_intensity.measuring import measure
from processor.storage import content

if TYPE_CHECKING:
    from image_intensity import Measurement

# A thirtieth of the standard library's time, which is a fifth of decoding where the file is large.
decode = partial(b64decode, validate=True)


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one invocation, a measurement or a problem; see `contract.invocation` for both shapes."""
    try:
        return measured(measure_invocation(Invocation.from_event(event, decode)))
    except ProblemError as problem:
        return refused(problem)


def measure_invocation(invocation: Invocation) -> Measurement:
    """Measure the image of an invocation within its limits.

    Raises ProblemError: what is wrong with the image (see `image_intensity.errors`), upload_missing, upload_mismatch.
    """
    image = content(invocation.image)
    limits = Limits(formats=invocation.allowed_formats, max_pixels=invocation.max_pixels)
    try:
        return measure(image, invocation.options, limits)
    except MeasurementError as error:
        raise ProblemError(ProblemCode(error.code), error.detail) from error
