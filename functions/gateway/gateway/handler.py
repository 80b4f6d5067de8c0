"""The composition root on Lambda: reads the environment once, and gives the application its parts."""

from __future__ import annotations

import os

from gateway.app import create_app
from gateway.http.rest_api import adapt, lead_to_page
from gateway.log import make_logger
from gateway.measuring.cache import make_cache
from gateway.measuring.direct_uploads import make_uploads
from gateway.measuring.processor_client import LambdaProcessor, make_lambda_client
from gateway.settings import Settings

settings = Settings.load(os.environ)
logger = make_logger(settings)
uploads = make_uploads(settings)
app = create_app(
    settings,
    cache=make_cache(settings, logger),
    processor=LambdaProcessor(make_lambda_client(), settings.processor_function_name, logger),
    uploads=uploads,
    logger=logger,
)
if uploads and os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # A client that is in the snapshot takes no time later.
    uploads.client()
lead_to_page(app)
lambda_handler = adapt(app)
