"""The health of the service, and of what it needs."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from contract.problems import ProblemCode, ProblemError
from gateway import __version__
from image_intensity import ImageFormat

if TYPE_CHECKING:
    from gateway.measuring.processor_client import Processor
    from gateway.measuring.service import Service

# A PNG of one gray pixel, and its intensity.
PROBE_IMAGE = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGOoBwAAgQCA05RTSgAAAABJRU5ErkJggg==")
PROBE_INTENSITY = 127.0


class Limits(BaseModel):
    """What the service takes, for clients that want to know before they send."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    max_content_length: int
    """Bytes of a file in the request itself."""
    max_upload_bytes: int
    """Bytes of a file that is uploaded to S3 first, by POST /uploads; 0 where that is not offered."""
    allowed_image_formats: tuple[ImageFormat, ...]
    max_image_pixels: int
    """Pixels of an image in the request itself."""
    max_upload_pixels: int
    """Pixels of one that is uploaded first."""


class Health(BaseModel):
    """The service is up."""

    status: Literal["ok"]
    version: str
    limits: Limits


class Readiness(BaseModel):
    """What the parts behind the service answer: the cache is optional, the processor is not."""

    status: Literal["ready", "not_ready"]
    cache: Literal["ok", "off", "down"]
    processor: Literal["ok"] | ProblemCode


def make_health_router(service: Service) -> APIRouter:
    """Return the routes that tell how `service` is."""
    router = APIRouter(prefix="/health")
    settings = service.settings

    @router.get("", summary="Is it up?")
    async def health() -> Health:
        """Answer without touching anything else, with the limits in force."""
        limits = Limits(
            max_content_length=settings.max_content_length,
            max_upload_bytes=service.max_upload_bytes,
            allowed_image_formats=settings.allowed_image_formats,
            max_image_pixels=settings.max_image_pixels,
            max_upload_pixels=settings.max_upload_pixels,
        )
        return Health(status="ok", version=__version__, limits=limits)

    @router.get("/ready", summary="Can it measure?", responses={503: {"model": Readiness}})
    def ready(response: Response) -> Readiness:
        """Ask the cache for a key and the processor for a measurement; 503 when the processor gives none."""
        processor = probe(service.processor)
        if processor != "ok":
            response.status_code = 503
        return Readiness(
            status="ready" if processor == "ok" else "not_ready", cache=service.cache.health(), processor=processor
        )

    return router


def probe(processor: Processor) -> Literal["ok"] | ProblemCode:
    """Have the processor measure an image whose answer is known."""
    try:
        measurement = processor.measure(PROBE_IMAGE)
    except ProblemError as problem:
        # It answers, but PNG is not among the allowed formats.
        return "ok" if problem.code is ProblemCode.UNSUPPORTED_FORMAT else problem.code
    return "ok" if measurement.average_intensity == PROBE_INTENSITY else ProblemCode.PROCESSOR_FAILED
