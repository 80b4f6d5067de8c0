"""The application, made of its arguments. Nothing here reads the environment or opens a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from gateway import __version__
from gateway.http.cloudfront import CloudFrontMiddleware
from gateway.http.cors import ProblemCORSMiddleware
from gateway.http.documentation import add_documentation
from gateway.http.faults import FaultMiddleware
from gateway.http.head import HeadMiddleware
from gateway.http.health import make_health_router
from gateway.http.hosts import HostMiddleware
from gateway.http.jobs import make_jobs_router
from gateway.http.openapi import ABOUT, complete_openapi
from gateway.http.problems import add_problem_handlers
from gateway.http.request_log import RequestLogMiddleware
from gateway.http.routes import DirectMiddleware, make_intensity_router
from gateway.measuring.service import Service

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from starlette.middleware import Middleware
    from starlette.types import ASGIApp

    from gateway.http.trace import XRay
    from gateway.measuring.cache import Cache
    from gateway.measuring.direct_uploads import DirectUploads
    from gateway.measuring.jobs import Jobs
    from gateway.measuring.processor_client import Processor
    from gateway.settings import Settings


class Application(FastAPI):
    """FastAPI, without the layers that it has around those that were added. Ours answer every error themselves."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the layers, from the outermost that was added on."""
        layer = super().build_middleware_stack()
        while not isinstance(layer, self.user_middleware[0].cls):  # type: ignore[arg-type]
            layer = layer.app  # type: ignore[attr-defined]
        return layer


DESCRIPTION = """\
Upload a PNG or JPEG and get its average grayscale intensity: 0 is black, 255 is white.

The number is exact, or there is an error that says why. One exception: some damage inside JPEG data cannot be seen by
any decoder (docs/measurement.md). Errors are `application/problem+json` (RFC 9457); every answer has an `X-Request-ID`.
"""
ALLOWED_HEADERS = ["Content-Type", "Content-Disposition", "X-Request-ID", "X-API-Key", "Authorization"]
EXPOSED_HEADERS = ["X-Request-ID", "X-Cache", "Server-Timing", "Retry-After", "WWW-Authenticate"]
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
    door: Middleware | None = None,
    trace: XRay | None = None,
    allowed_hosts: tuple[str, ...] | None = None,
) -> FastAPI:
    """Return the ASGI application.

    cache: remembers measurements. processor: measures. uploads: makes forms and tickets; None: no direct uploads.
    jobs: images that take minutes, out of what was uploaded; None: there are none.
    door: a layer that decides who may enter; None: everyone may, or whatever stands before this application decides.
    trace: sends the traces of requests; None: there are none.
    allowed_hosts: the names that the header Host may have, besides those of the loopback interface; None: any.
    """
    app = Application(
        title="Image Intensity Service",
        version=__version__,
        description=DESCRIPTION,
        **ABOUT,
        openapi_url=None,
        redirect_slashes=False,
        # Otherwise FastAPI looks for OpenTelemetry's providers at each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    service = Service(settings, cache, processor, uploads, jobs)
    intensity = make_intensity_router(service)
    app.include_router(intensity)
    app.include_router(make_jobs_router(service))
    app.include_router(make_health_router(service))
    add_problem_handlers(app)
    complete_openapi(app)
    add_documentation(app)
    # The last one that is added is the outermost.
    app.add_middleware(DirectMiddleware, router=intensity)
    if settings.origin_secret:
        secret = settings.origin_secret.get_secret_value()
        app.add_middleware(CloudFrontMiddleware, secret=secret, direct_access=settings.direct_access)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(FaultMiddleware, logger=logger)
    if door:
        # Inside the CORS layer: preflights have no key, and pages can read a refusal.
        app.add_middleware(door.cls, *door.args, **door.kwargs)
    app.add_middleware(
        ProblemCORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST"],
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age=PREFLIGHT_SECONDS,
    )
    if allowed_hosts is not None:
        app.add_middleware(HostMiddleware, allowed=allowed_hosts)
    app.add_middleware(RequestLogMiddleware, logger=logger, service_name=settings.service_name, trace=trace)
    return app
