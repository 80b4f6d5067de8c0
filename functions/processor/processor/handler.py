"""The Lambda entry point: event to contract and back, and a log line for each invocation."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pybase64 import b64decode

from contract.invocation import Invocation, measurement_answer, problem_answer
from contract.problems import ProblemCode, ProblemError
from image_intensity import Limits, MeasurementError
from image_intensity.measuring import measure
from processor.storage import content

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_intensity import Measurement

# This takes a thirtieth of the time of the standard library, which takes a fifth of decoding when the file is large.
decode = partial(b64decode, validate=True)


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one invocation with a measurement or a problem. `contract.invocation` shows both shapes.

    When Lambda stops the process (out of memory, out of time), it logs its own id of the invocation and not ours. The
    first line has both ids, so that the request can be found.
    """
    ids = {"request_id": event.get("request_id", ""), "invocation_id": getattr(context, "aws_request_id", "")}
    log("INFO", "invocation", ids)
    try:
        return measurement_answer(measure_invocation(Invocation.from_event(event, decode)))
    except ProblemError as problem:
        return problem_answer(problem)
    except BaseException as error:
        # Lambda's runtime logs the traceback. The message of an error could have parts of the image: it is not here.
        log("ERROR", "invocation failed", {**ids, "error": type(error).__name__})
        raise


def measure_invocation(
    invocation: Invocation, reserve: Callable[[int], None] | None = None, max_decoded_bytes: int | None = None
) -> Measurement:
    """Measure the image of an invocation within its limits.

    max_decoded_bytes: see `Limits`; None for its default.
    reserve: is called with the bytes of memory that decoding takes, before it begins. What it raises is raised here.
    Raises ProblemError: what is wrong with the image (see `image_intensity.errors`), upload_missing, upload_mismatch.
    """
    image = content(invocation.image)
    limits = Limits(formats=invocation.allowed_formats, max_pixels=invocation.max_pixels)
    if max_decoded_bytes is not None:
        limits = replace(limits, max_decoded_bytes=max_decoded_bytes)
    try:
        return measure(image, invocation.options, limits, reserve)
    except MeasurementError as error:
        raise ProblemError(ProblemCode(error.code), error.detail) from error


def log(level: str, message: str, extra: dict[str, str]) -> None:
    """Write one line of JSON to standard output at once: the process may be killed next."""
    line = {
        "timestamp": datetime.now(UTC).isoformat(),
        "level": level,
        "message": message,
        "name": "processor",
        **extra,
    }
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()
