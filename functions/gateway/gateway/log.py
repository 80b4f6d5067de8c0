"""The log: JSON lines on standard output, written by Powertools."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from pydantic_core import to_json

if TYPE_CHECKING:
    from gateway.settings import Settings

# No line of ours says which thread, process or task wrote it. Not to ask saves a tenth of the line's time.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
# Since Python 3.12.
logging.logAsyncioTasks = False  # type: ignore[attr-defined]


def written(line: dict[str, Any]) -> str:
    return to_json(line, inf_nan_mode="constants", fallback=str).decode()


# For Powertools' formatter: `timestamp`, `level`, `message`, `name`, `service`, `request_id`, then extras.
FORMAT: dict[str, Any] = {
    "log_record_order": ["timestamp", "level", "message", "name"],
    # The line of source would take a stack walk and is of little use to an operator.
    "location": None,
    "use_rfc3339": True,
    "utc": True,
    # Python's own json takes three times as long. No message of ours is JSON, which Powertools would look for.
    "json_serializer": written,
    "json_deserializer": str,
}


def make_logger(settings: Settings, handler: logging.Handler | None = None) -> Logger:
    """Return the gateway's logger, whose lines are as in `FORMAT`. They go to `handler`, or to standard output."""
    service, level = settings.service_name, settings.log_level
    return Logger(service=service, level=level, name="gateway", logger_handler=handler, **FORMAT)
