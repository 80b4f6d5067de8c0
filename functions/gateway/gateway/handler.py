"""The composition root on Lambda: reads the environment once, and gives the application its parts."""

from __future__ import annotations

import asyncio
import os

from gateway.app import create_app
from gateway.http.rest_api import adapt, lead_to_page
from gateway.log import make_logger
from gateway.measuring.aws_jobs import make_jobs
from gateway.measuring.cache import make_cache
from gateway.measuring.direct_uploads import make_uploads
from gateway.measuring.processor_client import LambdaProcessor, make_lambda_client
from gateway.settings import Settings

settings = Settings.load(os.environ)
logger = make_logger(settings)
cache = make_cache(settings, logger)
uploads = make_uploads(settings)
lambda_client = make_lambda_client()
app = create_app(
    settings,
    cache=cache,
    processor=LambdaProcessor(lambda_client, settings.processor_function_name, logger),
    uploads=uploads,
    jobs=make_jobs(settings, lambda_client, logger),
    logger=logger,
)
lead_to_page(app)
lambda_handler = adapt(app)


def connect_cache() -> None:
    """Connect the cache on the event loop that serves all requests, which Mangum has made: connections belong to it."""
    asyncio.get_event_loop().run_until_complete(cache.open())


if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # Part of Lambda's runtime. A connection that is in a snapshot would be dead when the snapshot is used.
    from snapshot_restore_py import register_after_restore

    register_after_restore(connect_cache)
    if uploads:
        # A client that is in the snapshot takes no time later.
        uploads.client()
else:
    connect_cache()
