"""The route that measures, and its answer."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Query, Request

from contract.problems import ProblemCode, ProblemError
from gateway.answers import FullIntensity, Intensity, IntensityQuery, Method
from gateway.openapi import IMAGE_FORM, problem_responses
from gateway.request import RequestLog
from gateway.upload import read_upload

if TYPE_CHECKING:
    from gateway.service import Service


# How many measurements wait or run at a time; Starlette allows as many of everything.
MEASUREMENT_THREADS = 40


# FastAPI would run functions that are not `async` in threads, which takes a millisecond of every request.
async def known_parameters(request: Request) -> None:
    """Raise ProblemError, malformed_request, for parameters that are unknown, or twice there: only one could count."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    known = IntensityQuery.model_fields
    wrong = [name for name, times in given.items() if name not in known or times > 1]
    if wrong:
        detail = f"Unknown or repeated query parameter: {', '.join(wrong)}. There are {', '.join(known)}, once each."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)


async def request_log(request: Request) -> RequestLog:
    """Return the log of the request, made by `RequestLogMiddleware`."""
    log: RequestLog = request.state.log
    return log


Log = Annotated[RequestLog, Depends(request_log)]


def make_intensity_router(service: Service) -> APIRouter:
    """Return the route that measures by `service`."""
    router = APIRouter()
    # Of their own, so that measurements waiting for the processor hold no thread of the page and the health checks.
    threads = CapacityLimiter(MEASUREMENT_THREADS)

    @router.post(
        "/intensity",
        summary="Measure an image",
        responses=problem_responses(),
        openapi_extra=IMAGE_FORM,
        dependencies=[Depends(known_parameters)],
    )
    async def intensity(
        request: Request, log: Log, query: Annotated[IntensityQuery, Query()]
    ) -> Intensity | FullIntensity:
        """Return the average grayscale intensity of a PNG or JPEG.

        The header `X-Cache` tells whether the measurement was known (`hit`), made now (`miss`) or made without a cache
        (`bypass`); the answer is the same.
        """
        with log.timed("upload"):
            upload = await read_upload(request, service.settings.max_content_length)
        begun = time.perf_counter()
        measured = await to_thread.run_sync(service.measure, upload.content, query.options, log, limiter=threads)
        measurement = measured.measurement
        answer = Intensity(
            average_intensity=measurement.average_intensity,
            filename=upload.filename,
            image_size=measurement.image_size,
            original_mode=measurement.original_mode,
            pixel_count=measurement.pixel_count,
            duration_ms=round((time.perf_counter() - begun) * 1000, 3),
            image_size_bytes=measurement.image_size_bytes,
            request_id=log.request_id,
        )
        if query.detail is None:
            return answer
        return FullIntensity(
            **answer.model_dump(),
            statistics=measurement.statistics,
            histogram=list(measurement.histogram),
            measurement=Method.of(measured),
        )

    return router
