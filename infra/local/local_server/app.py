"""The composition root of the local run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import fakeredis
from fastapi.responses import FileResponse

from gateway.app import create_app
from gateway.log import make_logger
from gateway.measuring.cache import RedisCache, make_cache
from gateway.measuring.direct_uploads import make_uploads
from local_server.emulators import EmulatorQueue
from local_server.settings import LocalSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools import Logger
    from fastapi import FastAPI

    from gateway.measuring.processor_client import Processor

EMBEDDED_DEADLINE_SECONDS = 10
REPOSITORY = Path(__file__).parents[3]


def make_app() -> FastAPI:
    """Return the service as the environment wants it, with the page at its root. Raises SettingsError."""
    settings = LocalSettings.load(os.environ)
    logger = make_logger(settings)
    cache = make_cache(settings, logger)
    if not settings.redis_host and settings.cache_ttl_seconds:
        # Inside this process there is no network to fail: it is late only when everything is.
        cache = RedisCache(fakeredis.FakeRedis, settings.cache_ttl_seconds, logger, EMBEDDED_DEADLINE_SECONDS)
    app = create_app(
        settings,
        cache=cache,
        processor=make_processor(settings, logger),
        uploads=make_uploads(settings),
        logger=logger,
    )
    # One route a file: files mounted at the root would answer for the methods and paths of the API as well.
    page = REPOSITORY / "static_site"
    for file in (path for path in page.rglob("*") if path.is_file()):
        name = file.relative_to(page).as_posix()
        path = "/" if name == "index.html" else f"/{name}"
        app.add_api_route(path, file_route(file), methods=["GET", "HEAD"], include_in_schema=False)
    return app


def file_route(file: Path) -> Callable[[], FileResponse]:
    """Return a route that serves `file`. Browsers ask each time whether it has changed: the files belong together."""
    return lambda: FileResponse(file, headers={"Cache-Control": "no-cache"})


def make_processor(settings: LocalSettings, logger: Logger) -> Processor:
    """Return the processor in this process, or the emulators of the real one."""
    if settings.processor_endpoints:
        return EmulatorQueue(settings, settings.processor_endpoints, logger)
    # The gateway's container has no decoder.
    from local_server.processor import InProcessProcessor  # noqa: PLC0415

    return InProcessProcessor(settings, logger)
