"""The application, made of what it is given: no environment is read here and nothing is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi_offline import FastAPIOffline

from gateway import __version__
from gateway.drain import DrainMiddleware
from gateway.http.cors import ProblemCORSMiddleware
from gateway.http.health import make_health_router
from gateway.http.openapi import add_problem_schema
from gateway.http.problems import add_problem_handlers
from gateway.http.request_log import FaultMiddleware, RequestLogMiddleware
from gateway.http.routes import make_intensity_router
from gateway.measuring.service import Service

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from fastapi import FastAPI

    from gateway.measuring.cache import Cache
    from gateway.measuring.direct_uploads import Uploads
    from gateway.measuring.processor_client import Processor
    from gateway.settings import Settings

DESCRIPTION = """\
Upload a PNG or JPEG and get its average grayscale intensity: 0 is black, 255 is white.

The number is exact or there is an error that says why. Errors are `application/problem+json` (RFC 9457); every answer
has an `X-Request-ID`.
"""
EXPOSED_HEADERS = ["X-Request-ID", "X-Cache", "Server-Timing", "Retry-After"]
# How much of a body that nobody wants is read, in files of the largest size.
DISCARD_FACTOR = 20
# Browsers keep a preflight's answer for two hours at the most.
PREFLIGHT_SECONDS = 7200


def create_app(
    settings: Settings, *, cache: Cache, processor: Processor, logger: Logger, uploads: Uploads | None = None
) -> FastAPI:
    """Return the ASGI application that measures by `processor`, remembers by `cache`, uploads by `uploads`."""
    # FastAPI's own page of documentation loads its scripts from another company's servers.
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
    # The last one added is the outermost.
    app.add_middleware(FaultMiddleware, logger=logger)
    app.add_middleware(
        ProblemCORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type", "X-Request-ID"],
        expose_headers=EXPOSED_HEADERS,
        max_age=PREFLIGHT_SECONDS,
    )
    app.add_middleware(DrainMiddleware, limit=DISCARD_FACTOR * settings.max_content_length)
    app.add_middleware(RequestLogMiddleware, logger=logger, service_name=settings.service_name)
    return app
