"""The routes that measure images and offer uploads."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Query as Parameters
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from contract.problems import ProblemCode, ProblemError
from gateway.http.answers import FullIntensity, Intensity, IntensityQuery, OptionsQuery, Upload
from gateway.http.body import is_json, read_file, read_json
from gateway.http.openapi import IMAGE_BODY, MEASUREMENTS, OF_UPLOADS, UPLOAD_BODY, UPLOADS, measured, problem_responses
from gateway.http.problems import problem_response
from gateway.http.request_log import RequestLog, shortened
from gateway.measuring.direct_uploads import TicketRequest, UploadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pydantic_core import ErrorDetails
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.measuring.service import Image, Service

Query = TypeVar("Query", bound=BaseModel)


class DirectRoute(APIRoute):
    """A route that FastAPI finds and describes, and whose endpoint is called without its help.

    FastAPI would resolve the parameters, and check the answer against its model, anew for each request. That takes as
    long as everything that we do for a hit. The endpoint gets the request, its log and its query, and returns a model
    or a whole response.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request. Raises at the start if the endpoint has other parameters."""
        endpoint, status = self.endpoint, self.status_code or 200
        query: type[BaseModel] = get_type_hints(endpoint)["query"]

        async def handle(request: Request) -> Response:
            answer: BaseModel | Response = await endpoint(request, request.state.log, read_query(request, query))
            if isinstance(answer, Response):
                return answer
            return Response(answer.model_dump_json(), status, media_type="application/json")

        return handle


class DirectMiddleware:
    """Calls the endpoints of direct routes, which have fixed paths, at once. Other requests go the framework's way.

    That way leads through routers and exit stacks, which take time, and which these endpoints do not use.
    """

    def __init__(self, app: ASGIApp, router: APIRouter) -> None:
        """Wrap `app`, which has the routes of `router`, too."""
        self.app = app
        routes = [route for route in router.routes if isinstance(route, DirectRoute)]
        self.handlers = {
            (method, each.path): each.get_route_handler() for each in routes for method in each.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        handle = self.handlers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if not handle:
            await self.app(scope, receive, send)
            return
        try:
            response = await handle(Request(scope, receive, send))
        except ProblemError as error:
            response = problem_response(error.code, error.detail, scope["state"]["log"])
        await response(scope, receive, send)


def read_query(request: Request, model: type[Query]) -> Query:
    """Return the query parameters of a request.

    Raises ProblemError: malformed_request, if there is a parameter that is not in `model`, one that is given twice, or
    one with a value that cannot be.
    """
    if not request.scope["query_string"]:
        return model()
    known, given = model.model_fields, request.query_params.multi_items()
    wrong = [name for name, times in Counter(name for name, _ in given).items() if name not in known or times > 1]
    if wrong:
        named = shortened(", ".join(wrong))
        detail = f"Unknown or repeated query parameter: {named}. There are {', '.join(known)}, once each."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, wrong_values(error)) from error


def wrong_values(error: ValidationError) -> str:
    """Return which query parameters have values that cannot be, and what may be there, in a sentence for each."""
    # Of a parameter that may be left out, pydantic also says that it could be None. Only the first error is of use.
    firsts = {str(item["loc"][0]): item for item in reversed(error.errors())}
    return " ".join(
        f"The query parameter {name} cannot be {shortened(repr(item['input']))}: {what_may_be(item)}."
        for name, item in sorted(firsts.items())
    )


def what_may_be(item: ErrorDetails) -> str:
    """Return what a query parameter may be instead of what pydantic refuses."""
    context = item.get("ctx", {})
    if item["type"] == "literal_error":
        return f"it may be {context['expected']}, or left out"
    return str(context.get("error", item["msg"]))


async def request_log(request: Request) -> RequestLog:
    """Return the log of the request, which `RequestLogMiddleware` has made."""
    log: RequestLog = request.state.log
    return log


Log = Annotated[RequestLog, Depends(request_log)]


def make_intensity_router(service: Service) -> APIRouter:
    """Return the routes that measure with `service`."""
    router = APIRouter(route_class=DirectRoute)

    async def read_image(request: Request) -> tuple[str, Image]:
        """Return the name and the content of the file in a request, or where the file of its ticket is."""
        if service.uploads and is_json(request):
            return service.uploads.redeem((await read_json(request, TicketRequest)).ticket)
        limit = service.settings.max_content_length
        file = await read_file(request, limit, service.max_upload_bytes, service.max_job_bytes)
        return file.filename, file.content

    @router.post(
        "/intensity",
        operation_id="measure_image",
        summary="Measure an image",
        tags=[MEASUREMENTS],
        responses=measured(),
        openapi_extra=IMAGE_BODY,
    )
    async def intensity(
        request: Request, log: Log, query: Annotated[IntensityQuery, Parameters()]
    ) -> FullIntensity | Intensity:
        """Return the average grayscale intensity of a PNG or JPEG.

        Send it in a form, or as the body itself; or send the ticket of a file that you uploaded before (POST /uploads).

        The header `X-Cache` tells whether the measurement was known (`hit`), made now (`miss`) or made without a cache
        (`bypass`); the answer is the same.
        """
        with log.report.timed("upload"):
            filename, image = await read_image(request)
        begun = time.perf_counter()
        outcome = await service.measure(image, query.options, log.request_id)
        log.add(outcome.report)
        log.measurement = outcome.measurement
        answer = Intensity.of(
            outcome.measurement,
            filename=filename,
            duration_ms=round((time.perf_counter() - begun) * 1000, 3),
            request_id=log.request_id,
        )
        return FullIntensity.extending(answer, outcome) if query.detail else answer

    @router.post(
        "/uploads",
        operation_id="offer_upload",
        summary="Upload a large image",
        tags=[UPLOADS],
        status_code=201,
        response_description="The form and the ticket",
        responses=problem_responses(*OF_UPLOADS),
        openapi_extra=UPLOAD_BODY,
    )
    async def upload(request: Request, log: Log, query: Annotated[OptionsQuery, Parameters()]) -> Upload:
        """Return a form that uploads one file to S3, and the ticket to have it measured by POST /intensity.

        If this content was measured before under the options in the query, there is nothing to upload.
        """
        if not service.uploads:
            detail = "This service takes no direct uploads (UPLOAD_BUCKET is not set). Send images to POST /intensity."
            raise ProblemError(ProblemCode.NOT_FOUND, detail)
        announced = await read_json(request, UploadRequest)
        offer, report = await service.offer_upload(service.uploads, announced, query.options)
        log.add(report)
        return Upload.of(offer, log.request_id)

    return router
