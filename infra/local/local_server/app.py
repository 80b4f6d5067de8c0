"""The composition root of the local run."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.app import create_app
from gateway.measuring.cache import Cache, make_cache
from gateway.measuring.direct_uploads import make_uploads
from gateway.measuring.jobs import Jobs
from local_server.access import Access
from local_server.bodies import BodyMiddleware
from local_server.cache import FileStore
from local_server.jobs import SignedStore, TaskQueue
from local_server.local_log import make_local_logger
from local_server.page import add_page
from local_server.processor import EmulatorQueue, SlotProcessor
from local_server.settings import FOLDER, REPOSITORY, LocalSettings
from local_server.uploads import FolderUploads, upload_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aws_lambda_powertools import Logger

    from gateway.measuring.direct_uploads import DirectUploads
    from local_server.jobs import JobProcessor


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
    if not uploads or isinstance(uploads, FolderUploads):
        return ""
    try:
        return uploads.origin()
    except (BotoCoreError, AttributeError, ValueError):
        # There is no region, or no key, which botocore says in all these ways. The page works without uploads.
        return ""


def make_processors(
    settings: LocalSettings, folder: Path, logger: Logger
) -> tuple[SlotProcessor | EmulatorQueue, JobProcessor | None]:
    """Return what measures images, and jobs: processes here, or emulators, of which there may be none for jobs."""
    if not settings.processor_endpoints:
        slots = SlotProcessor(folder, logger)
        return slots, slots
    name = settings.processor_function_name
    endpoint = settings.job_endpoint
    for_jobs = EmulatorQueue((endpoint,), name, logger, for_jobs=True) if endpoint else None
    return EmulatorQueue(settings.processor_endpoints, name, logger), for_jobs
