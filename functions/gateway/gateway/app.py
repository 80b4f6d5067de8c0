"""The application, made of its arguments. Nothing here reads the environment or opens a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi_offline import FastAPIOffline

from gateway import __version__
from gateway.http.cors import ProblemCORSMiddleware
from gateway.http.faults import FaultMiddleware
from gateway.http.health import make_health_router
from gateway.http.openapi import add_problem_schema
from gateway.http.problems import add_problem_handlers
from gateway.http.request_log import RequestLogMiddleware
from gateway.http.routes import make_intensity_router
from gateway.measuring.service import Service

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from fastapi import FastAPI

    from gateway.measuring.cache import Cache
    from gateway.measuring.direct_uploads import DirectUploads
    from gateway.measuring.processor_client import Processor
    from gateway.settings import Settings

DESCRIPTION = """\
Upload a PNG or JPEG and get its average grayscale intensity: 0 is black, 255 is white.

The number is exact, or there is an error that says why. One exception: some damage inside JPEG data cannot be seen by
any decoder (docs/measurement.md). Errors are `application/problem+json` (RFC 9457); every answer has an `X-Request-ID`.
"""
EXPOSED_HEADERS = ["X-Request-ID", "X-Cache", "Server-Timing", "Retry-After"]
# Browsers keep the answer to a preflight for at most two hours.
PREFLIGHT_SECONDS = 7200


def create_app(
    settings: Settings, *, cache: Cache, processor: Processor, logger: Logger, uploads: DirectUploads | None = None
) -> FastAPI:
    """Return the ASGI application.

    cache: remembers measurements. processor: measures. uploads: makes forms and tickets; None: no direct uploads.
    """
    # FastAPI's own page of documentation loads scripts from the servers of another company. This one does not.
    app = FastAPIOffline(
        title="Image Intensity Service",
        version=__version__,
        description=DESCRIPTION,
        redoc_url=None,
        redirect_slashes=False,
    )
    service = Service(settings, cache, processor, uploads)
    app.include_router(make_intensity_router(service))
    app.include_router(make_health_router(service))
    add_problem_handlers(app)
    add_problem_schema(app)
    # The last one that is added is the outermost.
    app.add_middleware(FaultMiddleware, logger=logger)
    app.add_middleware(
        ProblemCORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type", "X-Request-ID"],
        expose_headers=EXPOSED_HEADERS,
        max_age=PREFLIGHT_SECONDS,
    )
    app.add_middleware(RequestLogMiddleware, logger=logger, service_name=settings.service_name)
    return app
