"""The route that measures, and its answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict

from contract.problems import ProblemCode, ProblemError
from gateway.openapi import IMAGE_FORM, problem_responses
from gateway.request import RequestLog
from gateway.upload import read_upload

if TYPE_CHECKING:
    from gateway.service import Service


# How many measurements wait or run at a time; Starlette allows as many of everything.
MEASUREMENT_THREADS = 40


class Intensity(BaseModel):
    """The average intensity of an image, and what it was computed from."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "average_intensity": 127.45,
                "filename": "sample.png",
                "image_size": [800, 600],
                "original_mode": "RGB",
                "pixel_count": 480000,
                "duration_ms": 25.5,
                "image_size_bytes": 123456,
                "request_id": "a1b2c3d4-e5f6-7890-1234-567890abcdef",
            }
        },
        use_attribute_docstrings=True,
    )

    average_intensity: float
    """Mean grayscale value (ITU-R BT.601 luma) over all pixels of the first frame: 0 black, 255 white; not rounded."""
    filename: str
    """The name that was sent with the file."""
    image_size: tuple[int, int]
    """Width and height in pixels, as stored."""
    original_mode: str
    """How the file stores its pixels, as a Pillow mode: 1, L, LA, P, RGB, RGBA, CMYK or I;16."""
    pixel_count: int
    """Width times height."""
    duration_ms: float
    """Milliseconds from the complete upload to the answer."""
    image_size_bytes: int
    """Length of the file in bytes."""
    request_id: str
    """The same as in the header X-Request-ID."""


def request_log(request: Request) -> RequestLog:
    """Return the log of the request, made by `RequestLogMiddleware`."""
    log: RequestLog = request.state.log
    return log


Log = Annotated[RequestLog, Depends(request_log)]


def make_intensity_router(service: Service) -> APIRouter:
    """Return the route that measures by `service`."""
    router = APIRouter()
    # Of their own, so that measurements waiting for the processor hold no thread of the page and the health checks.
    threads = CapacityLimiter(MEASUREMENT_THREADS)

    @router.post("/intensity", summary="Measure an image", responses=problem_responses(), openapi_extra=IMAGE_FORM)
    async def intensity(request: Request, log: Log) -> Intensity:
        """Return the average grayscale intensity of a PNG or JPEG.

        The header `X-Cache` tells whether the measurement was known (`hit`), made now (`miss`) or made without a cache
        (`bypass`); the answer is the same.
        """
        if request.query_params:
            names = ", ".join(request.query_params)
            raise ProblemError(ProblemCode.MALFORMED_REQUEST, f"Unknown query parameter: {names}. There are none.")
        with log.timed("upload"):
            upload = await read_upload(request, service.settings.max_content_length)
        begun = time.perf_counter()
        measurement = await to_thread.run_sync(service.measure, upload.content, log, limiter=threads)
        return Intensity(
            average_intensity=measurement.average_intensity,
            filename=upload.filename,
            image_size=measurement.image_size,
            original_mode=measurement.original_mode,
            pixel_count=measurement.pixel_count,
            duration_ms=round((time.perf_counter() - begun) * 1000, 3),
            image_size_bytes=measurement.image_size_bytes,
            request_id=log.request_id,
        )

    return router
