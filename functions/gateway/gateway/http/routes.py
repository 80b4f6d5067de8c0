"""The routes that measure images and offer uploads."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request

from contract.problems import ProblemCode, ProblemError
from gateway.http.answers import FullIntensity, Intensity, IntensityQuery, OptionsQuery, Upload
from gateway.http.body import JSON, Body
from gateway.http.file import file_types, read_file
from gateway.http.openapi import (
    MEASUREMENTS,
    OF_UPLOADS,
    UPLOADS,
    image_body,
    json_body,
    measured,
    problem_responses,
)
from gateway.http.problems import malformed
from gateway.http.request_log import shortened
from gateway.measuring.direct_uploads import TicketRequest, UploadRequest

if TYPE_CHECKING:
    from gateway.measuring.outcome import Report
    from gateway.measuring.service import Image, Service


def report_of(request: Request) -> Report:
    """Return the report of the request, which `RequestLogMiddleware` has made. Raises ProblemError.

    Refuses a parameter of the query that is sent twice, of which FastAPI would take the last.
    """
    times = Counter(name for name, _ in request.query_params.multi_items())
    if repeated := [name for name, number in times.items() if number > 1]:
        raise malformed(f"Repeated query parameter: {shortened(', '.join(repeated))}. Send each once.")
    report: Report = request.state.report
    return report


def make_intensity_router(service: Service) -> APIRouter:
    router = APIRouter()
    settings = service.settings
    types = file_types(settings.allowed_image_formats)
    ways = {
        "POST /uploads takes files": settings.max_upload_bytes,
        "POST /jobs takes uploaded files": settings.max_job_bytes,
    }

    async def read_image(request: Request) -> tuple[str, Image]:
        """Return the name and the content of the file in a request, or where the file of its ticket is."""
        body = Body(request)
        # HTTPie says of every body that it is JSON.
        if service.uploads and body.media_type == JSON and (await body.begins()).lstrip().startswith(b"{"):
            return service.uploads.redeem((await body.json(TicketRequest)).ticket)
        return await read_file(body, types, settings.max_content_length, ways)

    @router.post("/intensity/", include_in_schema=False)
    @router.post(
        "/intensity",
        operation_id="measure_image",
        summary="Measure an image",
        tags=[MEASUREMENTS],
        responses=measured(),
        openapi_extra=image_body(types),
    )
    async def intensity(request: Request, query: Annotated[IntensityQuery, Query()]) -> FullIntensity | Intensity:
        """Return the average grayscale intensity of an image.

        Send it in a form, or as the body itself; or send the ticket of a file that you uploaded before (POST /uploads).

        The header `X-Cache` tells whether the measurement was known (`hit`), made now (`miss`) or made without a cache
        (`bypass`); the answer is the same.
        """
        report = report_of(request)
        with report.timed("upload"):
            filename, image = await read_image(request)
        begun = time.perf_counter()
        outcome = await service.measure(image, query.options, report)
        milliseconds = round((time.perf_counter() - begun) * 1000, 3)
        answer = FullIntensity if query.detail else Intensity
        return answer.of(outcome, filename=filename, duration_ms=milliseconds, request_id=report.request_id)

    @router.post(
        "/uploads",
        operation_id="offer_upload",
        summary="Upload a large image",
        tags=[UPLOADS],
        status_code=201,
        response_description="The form and the ticket",
        responses=problem_responses(*OF_UPLOADS),
        openapi_extra=json_body(UploadRequest),
    )
    async def upload(request: Request, query: Annotated[OptionsQuery, Query()]) -> Upload:
        """Return a form that uploads one file to S3, and the ticket to have it measured by POST /intensity.

        If this content was measured before under the options in the query, there is nothing to upload.
        """
        report = report_of(request)
        if not service.uploads:
            raise ProblemError(ProblemCode.NOT_FOUND)
        announced = await Body(request).json(UploadRequest)
        ticket, expires_at, form = await service.offer_upload(service.uploads, announced, query.options, report)
        sent: dict[str, Any] = form or {"url": None, "fields": None}
        return Upload(known=form is None, ticket=ticket, expires_at=expires_at, request_id=report.request_id, **sent)

    return router
