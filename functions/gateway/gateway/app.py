"""The application, made of its arguments. Nothing here reads the environment or opens a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from gateway.http.cloudfront import CloudFrontMiddleware
from gateway.http.documentation import add_documentation
from gateway.http.health import make_health_router
from gateway.http.jobs import make_jobs_router
from gateway.http.openapi import ABOUT, complete_openapi
from gateway.http.problems import HANDLERS, RefusalMiddleware, last_resort
from gateway.http.request_log import RequestLogMiddleware
from gateway.http.routes import make_intensity_router
from gateway.measuring.service import Service
from image_intensity import __version__, in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_lambda_powertools import Logger

    from gateway.measuring.cache import Cache
    from gateway.measuring.direct_uploads import DirectUploads
    from gateway.measuring.jobs import Jobs
    from gateway.measuring.processor_client import Processor
    from gateway.settings import Settings


DESCRIPTION = """\
Upload a {formats} and get its average grayscale intensity: 0 is black, 255 is white
([the formulas](docs/formulas.txt)).

The number is exact, or there is an error that says why. One exception: some damage inside JPEG data cannot be seen by
any decoder (docs/measurement.md). Errors are `application/problem+json` (RFC 9457); every answer has an `X-Request-ID`.
"""
ALLOWED_HEADERS = ["Content-Type", "Content-Disposition", "X-Request-ID", "X-API-Key", "Authorization"]
EXPOSED_HEADERS = ["X-Request-ID", "X-Cache", "Server-Timing", "Retry-After", "WWW-Authenticate"]
# With a dot at its end, a name is complete.
LOOPBACK = ("localhost", "localhost.", "*.localhost", "*.localhost.", "127.0.0.1", "127.0.0.1.", "[::1]")
# Browsers keep the answer to a preflight for at most two hours.
PREFLIGHT_SECONDS = 7200


def create_app(  # noqa: PLR0913 - each part is an argument
    settings: Settings,
    *,
    cache: Cache,
    processor: Processor,
    logger: Logger,
    uploads: DirectUploads | None = None,
    jobs: Jobs | None = None,
    middleware: Middleware | None = None,
    allowed_hosts: Sequence[str] | None = None,
) -> FastAPI:
    """Return the ASGI application.

    cache: remembers measurements. processor: measures. uploads: makes forms and tickets; None: no direct uploads.
    jobs: images that take minutes, out of what was uploaded; None: there are none.
    middleware: inside the CORS layer, for keys, limits and the like. Preflights do not reach it, and pages can read
    what it refuses.
    allowed_hosts: the names that the header Host may have, besides those of the loopback interface; None: any.
    """
    off = {} if uploads else {"max_upload_bytes": 0}
    off |= {} if jobs else {"max_job_bytes": 0, "max_job_pixels": 0}
    service = Service(settings.model_copy(update=off), cache, processor, uploads, jobs)
    app = FastAPI(
        title="Image Intensity Service",
        version=__version__,
        description=DESCRIPTION.format(formats=in_words(settings.allowed_image_formats)),
        **ABOUT,
        openapi_url=None,
        redirect_slashes=False,
        middleware=list(layers(settings, logger, middleware, allowed_hosts)),
        exception_handlers=HANDLERS,
        # Otherwise FastAPI looks for OpenTelemetry's providers at each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.include_router(make_intensity_router(service))
    app.include_router(make_jobs_router(service))
    app.include_router(make_health_router(service))
    complete_openapi(app)
    add_documentation(app)
    return app


def layers(
    settings: Settings, logger: Logger, middleware: Middleware | None, allowed_hosts: Sequence[str] | None
) -> Iterator[Middleware]:
    """Yield the layers around the routes, the outermost first."""
    yield Middleware(RequestLogMiddleware, logger=logger, service_name=settings.service_name)
    yield Middleware(RefusalMiddleware)
    if allowed_hosts is not None:
        yield Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, *allowed_hosts], www_redirect=False)
    yield Middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST"],
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age=PREFLIGHT_SECONDS,
    )
    yield last_resort(logger)
    if middleware:
        yield middleware
    if settings.origin_secret:
        secret = settings.origin_secret.get_secret_value()
        yield Middleware(CloudFrontMiddleware, secret=secret, direct_access=settings.direct_access)
