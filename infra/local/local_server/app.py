"""The composition root of the local run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import fakeredis
from fastapi.responses import FileResponse

from gateway.app import create_app
from gateway.log import make_logger
from gateway.measuring.cache import RedisCache, make_cache
from gateway.measuring.direct_uploads import make_uploads, signing_config
from local_server.bucket import BUCKET
from local_server.drain import DrainMiddleware
from local_server.emulators import EmulatorQueue
from local_server.settings import LocalSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools import Logger
    from fastapi import FastAPI

    from gateway.measuring.processor_client import Processor
    from local_server.storage import Storage

EMBEDDED_DEADLINE_SECONDS = 10
REPOSITORY = Path(__file__).parents[3]
# Of a body that the application does not read, discard at most this many files of the largest size.
DISCARD_FACTOR = 20


def make_app(environment: Mapping[str, str], storage: Storage | None = None) -> FastAPI:
    """Return the service with the page at its root.

    environment: the variables with the settings. storage: where direct uploads go, if not to the bucket in the
    settings. Raises SettingsError.
    """
    settings = LocalSettings.load({**environment, "UPLOAD_BUCKET": BUCKET} if storage else environment)
    logger = make_logger(settings)
    cache = make_cache(settings, logger)
    if not settings.redis_host and settings.cache_ttl_seconds:
        # In this process no network can fail. The cache is only late if the whole process is.
        cache = RedisCache(fakeredis.FakeRedis, settings, logger, EMBEDDED_DEADLINE_SECONDS)
    app = create_app(
        settings,
        cache=cache,
        processor=make_processor(settings, storage, logger),
        uploads=make_uploads(settings, (lambda: storage.client(signing_config())) if storage else None),
        logger=logger,
    )
    app.add_middleware(DrainMiddleware, limit=DISCARD_FACTOR * settings.max_content_length)
    # One route for each file: files that are mounted at the root would also answer for paths and methods of the API.
    page = REPOSITORY / "static_site"
    for file in (path for path in page.rglob("*") if path.is_file()):
        name = file.relative_to(page).as_posix()
        path = "/" if name == "index.html" else f"/{name}"
        app.add_api_route(path, file_route(file), methods=["GET", "HEAD"], include_in_schema=False)
    return app


def file_route(file: Path) -> Callable[[], FileResponse]:
    """Return a route that serves `file`. Browsers ask each time whether it has changed: the files belong together."""
    return lambda: FileResponse(file, headers={"Cache-Control": "no-cache"})


def make_processor(settings: LocalSettings, storage: Storage | None, logger: Logger) -> Processor:
    """Return the processor in this process, or the queue for the emulators of the real one."""
    if settings.processor_endpoints:
        return EmulatorQueue(settings.processor_endpoints, settings.processor_function_name, logger)
    # Not at the top of the file: the gateway's container has no decoder.
    from local_server.processor import InProcessProcessor  # noqa: PLC0415

    return InProcessProcessor(logger, storage)
