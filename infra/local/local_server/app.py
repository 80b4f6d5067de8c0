"""The composition root of the local run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import fakeredis
from fastapi.responses import FileResponse

from gateway.app import create_app
from gateway.cache import RedisCache, make_cache
from gateway.log import make_logger
from local_server.processor import InProcessProcessor
from local_server.settings import LocalSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

REPOSITORY = Path(__file__).parents[3]


def make_app() -> FastAPI:
    """Return the service as the environment wants it, with the page at its root. Raises SettingsError."""
    settings = LocalSettings.load(os.environ)
    logger = make_logger(settings)
    cache = make_cache(settings, logger)
    if not settings.redis_host and settings.cache_ttl_seconds:
        embedded = fakeredis.FakeRedis()
        # Its first command takes longer than the cache may: not at the cost of the first request.
        embedded.get("")
        cache = RedisCache(lambda: embedded, settings.cache_ttl_seconds, logger)
    app = create_app(settings, cache=cache, processor=InProcessProcessor(settings, logger), logger=logger)
    # One route a file: files mounted at the root would answer for the methods and paths of the API as well.
    for file in (REPOSITORY / "static_site").iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        app.add_api_route(path, file_route(file), methods=["GET", "HEAD"], include_in_schema=False)
    return app


def file_route(file: Path) -> Callable[[], FileResponse]:
    """Return a route that serves `file`. Browsers ask each time whether it has changed: the files belong together."""
    return lambda: FileResponse(file, headers={"Cache-Control": "no-cache"})
