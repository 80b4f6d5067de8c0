"""The composition root of the local run, and its page: the files in the repository, each at a path of its own."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.app import create_app
from gateway.http.security import page_policy
from gateway.measuring.cache import Cache, make_cache
from gateway.measuring.direct_uploads import make_uploads
from gateway.measuring.jobs import Jobs
from local_server.access import Access
from local_server.bodies import BodyMiddleware
from local_server.cache import FileStore
from local_server.jobs import SignedStore, TaskQueue
from local_server.local_log import make_local_logger
from local_server.processor import EmulatorQueue, SlotProcessor
from local_server.settings import FOLDER, REPOSITORY, LocalSettings
from local_server.uploads import FolderUploads, upload_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aws_lambda_powertools import Logger
    from starlette.responses import Response
    from starlette.types import Scope

    from gateway.measuring.direct_uploads import DirectUploads


def run() -> FastAPI:
    return make_app(os.environ, Path(os.environ[FOLDER]))


def make_app(environment: Mapping[str, str], folder: Path) -> FastAPI:
    """Return the service with the page at its root. folder: of the run. Raises SettingsError."""
    settings = LocalSettings.load(environment)
    secret = settings.secret_key.get_secret_value()
    logger = make_local_logger(settings)
    store = FileStore(folder / "cache.sqlite")
    cache = make_cache(settings, logger)
    if not settings.redis_host and settings.cache_ttl_seconds:
        cache = Cache(store, settings, logger)
    uploads = make_uploads(settings)
    if not uploads and not settings.processor_endpoints:
        uploads = FolderUploads(folder, secret)
    processor, for_jobs = make_processors(settings, folder, logger)
    jobs = None
    if uploads and for_jobs:
        signed = SignedStore(cache.store or store, secret)
        jobs = Jobs(signed, TaskQueue(signed, for_jobs, logger), secret, logger)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        if isinstance(processor, SlotProcessor):
            processor.close()

    app = create_app(
        settings,
        cache=cache,
        processor=processor,
        uploads=uploads,
        jobs=jobs,
        logger=logger,
        middleware=Middleware(BodyMiddleware, settings.max_content_length, Access(settings, logger)),
        allowed_hosts=settings.hosts,
    )
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))
    app.include_router(APIRouter(lifespan=lifespan))
    add_page(app, REPOSITORY / "static_site", upload_origin(uploads))
    if isinstance(uploads, FolderUploads):
        most = max(settings.max_upload_bytes, settings.max_job_bytes)
        app.include_router(upload_router(uploads, most))
    return app


def upload_origin(uploads: DirectUploads | None) -> str:
    """Return where the page uploads large images, if that is not this server; empty if that is nowhere."""
    # If there is no region, or no key, botocore says it in all these ways. The page works without uploads.
    with suppress(BotoCoreError, AttributeError, ValueError):
        return uploads.origin() if uploads and not isinstance(uploads, FolderUploads) else ""
    return ""


def make_processors(
    settings: LocalSettings, folder: Path, logger: Logger
) -> tuple[SlotProcessor | EmulatorQueue, SlotProcessor | EmulatorQueue | None]:
    """Return what measures images, and jobs: processes here, or emulators, of which there may be none for jobs."""
    if not settings.processor_endpoints:
        slots = SlotProcessor(folder, logger)
        return slots, slots
    name = settings.processor_function_name
    endpoint = settings.job_endpoint
    for_jobs = EmulatorQueue((endpoint,), name, logger, for_jobs=True) if endpoint else None
    return EmulatorQueue(settings.processor_endpoints, name, logger), for_jobs


def add_page(app: FastAPI, folder: Path, upload_origin: str) -> None:
    """Serve the files in `folder`, with index.html at the root. upload_origin: where the page may upload, or ""."""
    # A route for each file: files that are mounted at the root would also answer for paths and methods of the API.
    files = GZipMiddleware(PageFiles(folder, page_policy(upload_origin)), minimum_size=1)
    paths = {f"/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*") if path.is_file()}
    paths = paths - {"/index.html"} | {"/"}
    app.router.routes.extend(Route(path, files, methods=["GET"], include_in_schema=False) for path in paths)


class PageFiles(StaticFiles):
    """The files of the page. A browser asks each time whether they have changed."""

    def __init__(self, folder: Path, policy: str) -> None:
        super().__init__(directory=folder, html=True)
        self.policy = policy

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        if scope["path"] == "/":
            response.headers["Content-Security-Policy"] = self.policy
        return response
