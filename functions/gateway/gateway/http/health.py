"""The health of the service, and of the parts behind it."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from contract.invocation import Invocation
from contract.problems import ProblemCode, ProblemError
from gateway.http.answers import example
from gateway.http.openapi import HEALTH, problem_responses
from gateway.settings import Settings
from image_intensity import ImageFormat, __version__, media_types_of, suffixes_of

if TYPE_CHECKING:
    from gateway.measuring.processor_client import Processor
    from gateway.measuring.service import Service

# A PNG of one gray pixel, and its intensity.
PROBE = Invocation(
    image=b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgQCA05RTSgAAAABJRU5ErkJggg=="),
    allowed_formats=("PNG",),
    max_pixels=1,
)
PROBE_INTENSITY = 127.0


class Limits(BaseModel):
    """The limits of the service, for clients that want to know them before they send."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    max_content_length: int
    """Bytes of a file in the request itself."""
    max_upload_bytes: int
    """Bytes of a file that is uploaded to S3 first, by POST /uploads; 0 if the service does not offer that."""
    allowed_image_formats: tuple[ImageFormat, ...]
    media_types: tuple[str, ...]
    """Of files of these formats."""
    suffixes: tuple[str, ...]
    """The usual ends of their names, in lower case, without the dot."""
    max_image_pixels: int
    """Pixels of an image in the request itself."""
    max_upload_pixels: int
    """Pixels of one that is uploaded first."""
    max_job_bytes: int
    """Bytes of a file that is uploaded first and measured by a job, by POST /jobs; 0 if the service has no jobs."""
    max_job_pixels: int
    """Pixels of its image."""


def limits_of(settings: Settings) -> Limits:
    formats = settings.allowed_image_formats
    told = settings.model_dump(include=set(Limits.model_fields))
    return Limits(media_types=media_types_of(formats), suffixes=tuple(sorted(suffixes_of(formats))), **told)


class Health(BaseModel):
    """The service is up."""

    model_config = example(
        status="ok",
        version=__version__,
        limits=limits_of(Settings.load({})).model_dump(mode="json"),
    )

    status: Literal["ok"]
    version: str
    limits: Limits


class Readiness(BaseModel):
    """How the parts behind the service are. The cache is optional, the processor is not."""

    model_config = example(status="ready", cache="ok", processor="ok")

    status: Literal["ready", "not_ready"]
    cache: Literal["ok", "off", "down"]
    processor: Literal["ok"] | ProblemCode


def make_health_router(service: Service) -> APIRouter:
    router = APIRouter(prefix="/health", tags=[HEALTH])
    limits = limits_of(service.settings)

    @router.get(
        "",
        operation_id="get_health",
        summary="Is it up?",
        response_description="It is up",
        responses=problem_responses(ProblemCode.PROCESSOR_BUSY),
    )
    async def health() -> Health:
        """Return the limits in force. No other part is asked."""
        return Health(status="ok", version=__version__, limits=limits)

    @router.get(
        "/ready",
        operation_id="get_readiness",
        summary="Can it measure?",
        response_description="It measures",
        responses={503: {"model": Readiness, "description": "It does not measure"}, **problem_responses()},
    )
    async def ready(request: Request, response: Response) -> Readiness:
        """Have the cache keep a value and the processor measure an image; 503 if the processor does not."""
        processor = await probe(service.processor, request.state.report.request_id)
        if processor != "ok":
            response.status_code = 503
        status: Literal["ready", "not_ready"] = "ready" if processor == "ok" else "not_ready"
        return Readiness(status=status, cache=await service.cache.health(), processor=processor)

    return router


async def probe(processor: Processor, request_id: str) -> Literal["ok"] | ProblemCode:
    """Have the processor measure an image whose intensity is known."""
    try:
        measurement, _ = await processor.measure(replace(PROBE, request_id=request_id))
    except ProblemError as problem:
        return problem.code
    return "ok" if measurement.average_intensity == PROBE_INTENSITY else ProblemCode.PROCESSOR_FAILED
