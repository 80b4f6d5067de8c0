"""The routes that measure, and their answers."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Query, Request

from contract.problems import ProblemCode, ProblemError
from gateway.http.answers import FullIntensity, Intensity, IntensityQuery, Method, OptionsQuery, Upload
from gateway.http.body import is_json, read_json, read_upload, too_large
from gateway.http.openapi import IMAGE_BODY, UPLOAD_BODY, problem_responses
from gateway.http.request_log import RequestLog
from gateway.measuring.direct_uploads import Ticket, TicketRequest, UploadRequest, expiry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel

    from contract.invocation import StoredImage
    from gateway.measuring.service import Service


# How many measurements wait or run at a time; Starlette allows as many of everything.
MEASUREMENT_THREADS = 40


def known_parameters(query: type[BaseModel]) -> Callable[[Request], Awaitable[None]]:
    """Return the check that refuses parameters that are not of `query`, or are there twice: only one could count."""
    known = query.model_fields

    # FastAPI would run functions that are not `async` in threads, which takes a millisecond of every request.
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
    """Return the log of the request, made by `RequestLogMiddleware`."""
    log: RequestLog = request.state.log
    return log


Log = Annotated[RequestLog, Depends(request_log)]


def make_intensity_router(service: Service) -> APIRouter:
    """Return the routes that measure by `service`."""
    router = APIRouter()
    settings, uploads = service.settings, service.uploads
    # Of their own, so that measurements waiting for the processor hold no thread of the page and the health checks.
    threads = CapacityLimiter(MEASUREMENT_THREADS)

    async def read_image(request: Request) -> tuple[str, bytes | StoredImage]:
        """Return the name and the content that came with a request, or where its ticket says that it is."""
        if uploads and is_json(request):
            ticket = uploads.read((await read_json(request, TicketRequest)).ticket)
            return ticket.filename, uploads.stored(ticket)
        upload = await read_upload(request, settings.max_content_length, service.max_upload_bytes)
        return upload.filename, upload.content

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
        with log.timed("upload"):
            filename, image = await read_image(request)
        begun = time.perf_counter()
        measured = await to_thread.run_sync(service.measure, image, query.options, log, limiter=threads)
        measurement = measured.measurement
        answer = Intensity(
            average_intensity=measurement.average_intensity,
            filename=filename,
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

        Where the content is known, measured under the options in the query, nothing need be uploaded.
        """
        if not uploads:
            detail = "This service takes no direct uploads (UPLOAD_BUCKET is not set). Send images to POST /intensity."
            raise ProblemError(ProblemCode.NOT_FOUND, detail)
        announced = await read_json(request, UploadRequest)
        if not announced.size:
            raise ProblemError(ProblemCode.EMPTY_FILE, "The file has no bytes.")
        if announced.size > settings.max_upload_bytes:
            raise too_large(settings.max_upload_bytes)
        ticket = Ticket.of(announced)
        stored = uploads.stored(ticket)
        _, known = await to_thread.run_sync(service.look_up, stored, ticket.sha256, query.options, log)
        form = None if known else await to_thread.run_sync(uploads.form, ticket, announced.content_type)
        return Upload(
            known=known is not None,
            url=form.url if form else None,
            fields=form.fields if form else None,
            ticket=uploads.sign(ticket),
            expires_at=expiry(),
            request_id=log.request_id,
        )

    return router
