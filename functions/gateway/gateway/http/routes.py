"""The routes that measure images and offer uploads."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Query, Request

from contract.problems import ProblemCode, ProblemError
from gateway.http.answers import FullIntensity, Intensity, IntensityQuery, OptionsQuery, Upload
from gateway.http.body import is_json, read_file, read_json
from gateway.http.openapi import IMAGE_BODY, UPLOAD_BODY, problem_responses
from gateway.http.request_log import RequestLog
from gateway.measuring.direct_uploads import TicketRequest, UploadRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel

    from contract.invocation import StoredImage
    from gateway.measuring.service import Service


# So many measurements wait or run at a time. Starlette has the same number for all other routes together.
MEASUREMENT_THREADS = 40


def known_parameters(query: type[BaseModel]) -> Callable[[Request], Awaitable[None]]:
    """Return the check that refuses a parameter that is not in `query`, and one that is given twice."""
    known = query.model_fields

    # Not a plain function: FastAPI would run it in a thread, which takes a millisecond of every request.
    async def check(request: Request) -> None:
        given = Counter(name for name, _ in request.query_params.multi_items())
        wrong = [name for name, times in given.items() if name not in known or times > 1]
        if wrong:
            detail = (
                f"Unknown or repeated query parameter: {', '.join(wrong)}. There are {', '.join(known)}, once each."
            )
            raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)

    return check


async def request_log(request: Request) -> RequestLog:
    """Return the log of the request, which `RequestLogMiddleware` has made."""
    log: RequestLog = request.state.log
    return log


Log = Annotated[RequestLog, Depends(request_log)]


def make_intensity_router(service: Service) -> APIRouter:
    """Return the routes that measure with `service`."""
    router = APIRouter()
    # These threads are for measurements only. So a slow processor takes no thread from the page and the health checks.
    threads = CapacityLimiter(MEASUREMENT_THREADS)

    async def read_image(request: Request) -> tuple[str, bytes | StoredImage]:
        """Return the name and the content of the file in a request, or where the file of its ticket is."""
        if service.uploads and is_json(request):
            return service.uploads.redeem((await read_json(request, TicketRequest)).ticket)
        file = await read_file(request, service.settings.max_content_length, service.max_upload_bytes)
        return file.filename, file.content

    @router.post(
        "/intensity",
        summary="Measure an image",
        responses=problem_responses(),
        openapi_extra=IMAGE_BODY,
        dependencies=[Depends(known_parameters(IntensityQuery))],
    )
    async def intensity(
        request: Request, log: Log, query: Annotated[IntensityQuery, Query()]
    ) -> Intensity | FullIntensity:
        """Return the average grayscale intensity of a PNG or JPEG: sent as a form, or uploaded before (POST /uploads).

        The header `X-Cache` tells whether the measurement was known (`hit`), made now (`miss`) or made without a cache
        (`bypass`); the answer is the same.
        """
        with log.report.timed("upload"):
            filename, image = await read_image(request)
        begun = time.perf_counter()
        outcome = await to_thread.run_sync(service.measure, image, query.options, log.request_id, limiter=threads)
        log.add(outcome.report)
        answer = Intensity.of(
            outcome.measurement,
            filename=filename,
            duration_ms=round((time.perf_counter() - begun) * 1000, 3),
            request_id=log.request_id,
        )
        return FullIntensity.extending(answer, outcome) if query.detail else answer

    @router.post(
        "/uploads",
        summary="Upload a large image",
        status_code=201,
        responses=problem_responses(),
        openapi_extra=UPLOAD_BODY,
        dependencies=[Depends(known_parameters(OptionsQuery))],
    )
    async def upload(request: Request, log: Log, query: Annotated[OptionsQuery, Query()]) -> Upload:
        """Return a form that uploads one file to S3, and the ticket to have it measured by POST /intensity.

        If this content was measured before under the options in the query, there is nothing to upload.
        """
        if not service.uploads:
            detail = "This service takes no direct uploads (UPLOAD_BUCKET is not set). Send images to POST /intensity."
            raise ProblemError(ProblemCode.NOT_FOUND, detail)
        announced = await read_json(request, UploadRequest)
        offer, report = await to_thread.run_sync(service.offer_upload, service.uploads, announced, query.options)
        log.add(report)
        return Upload.of(offer, log.request_id)

    return router
