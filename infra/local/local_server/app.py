"""The composition root of the local run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.app import create_app
from gateway.measuring.cache import RecordCache, make_cache
from gateway.measuring.direct_uploads import make_uploads, signing_config
from local_server.access import make_door
from local_server.bucket import BUCKET
from local_server.emulators import JOB_READ_SECONDS, EmulatorQueue
from local_server.file_store import FileStore
from local_server.jobs import make_local_jobs
from local_server.local_log import make_local_logger
from local_server.measuring.client import BrokerProcessor
from local_server.page import add_page
from local_server.settings import REPOSITORY, LocalSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aws_lambda_powertools import Logger
    from fastapi import FastAPI

    from gateway.measuring.direct_uploads import DirectUploads
    from local_server.jobs import JobProcessor
    from local_server.processor import InProcessProcessor
    from local_server.storage import Storage

    LocalProcessor = EmulatorQueue | BrokerProcessor | InProcessProcessor


def make_app(
    environment: Mapping[str, str],
    storage: Storage | None = None,
    folder: Path | None = None,
    broker: Path | None = None,
) -> FastAPI:
    """Return the service with the page at its root.

    environment: the variables with the settings. storage: where direct uploads go, if not to the bucket in the
    settings. folder: of the run, where its workers share the embedded cache and the counters of requests; without it,
    this application has its own. broker: the socket of the broker that has images measured; without it, this process
    measures. Raises SettingsError.
    """
    settings = LocalSettings.load({**environment, "UPLOAD_BUCKET": BUCKET} if storage else environment)
    logger = make_local_logger(settings)
    cache = make_cache(settings, logger)
    if not settings.redis_host and settings.cache_ttl_seconds:
        cache = RecordCache(FileStore(folder / "cache.sqlite" if folder else None), settings, logger)
    store = cache.store if isinstance(cache, RecordCache) else FileStore(folder / "jobs.sqlite" if folder else None)
    uploads = make_uploads(settings, (lambda: storage.client(signing_config())) if storage else None)
    processor = make_processor(settings, storage, broker, logger)
    for_jobs = make_job_processor(settings, processor, broker, logger)
    app = create_app(
        settings,
        cache=cache,
        processor=processor,
        uploads=uploads,
        jobs=make_local_jobs(settings, store, for_jobs, logger) if uploads and for_jobs else None,
        logger=logger,
        door=make_door(settings, folder, logger),
        allowed_hosts=settings.hosts,
    )
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))
    add_page(app, REPOSITORY / "static_site", lambda: upload_origin(uploads, storage))
    return app


def upload_origin(uploads: DirectUploads | None, storage: Storage | None) -> str:
    """Return where the page uploads large images; empty if that is nowhere."""
    if storage:
        return storage.address
    try:
        return uploads.origin() if uploads else ""
    except (BotoCoreError, AttributeError, ValueError):
        # There is no region, or no key, which botocore says in all these ways. The page works without uploads.
        return ""


def make_job_processor(
    settings: LocalSettings, processor: LocalProcessor, broker: Path | None, logger: Logger
) -> JobProcessor | None:
    """Return what measures jobs; None if there are emulators, and none for jobs."""
    if not broker or not isinstance(processor, EmulatorQueue):
        return processor
    if not settings.job_endpoint:
        return None
    endpoints = (settings.job_endpoint,)
    return EmulatorQueue(broker, endpoints, settings.processor_function_name, logger, JOB_READ_SECONDS)


def make_processor(
    settings: LocalSettings, storage: Storage | None, broker: Path | None, logger: Logger
) -> LocalProcessor:
    """Return what asks the broker: for a measurement, or for a turn with an emulator of the real processor."""
    if broker and settings.processor_endpoints:
        return EmulatorQueue(broker, settings.processor_endpoints, settings.processor_function_name, logger)
    if broker:
        return BrokerProcessor(broker, logger)
    # Not at the top of the file: the gateway's container and the HTTP workers have no decoder.
    from local_server.processor import InProcessProcessor  # noqa: PLC0415

    return InProcessProcessor(logger, storage)
