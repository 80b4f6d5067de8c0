"""The log: JSON lines on standard output, written by Powertools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from gateway.settings import Settings


def make_logger(settings: Settings) -> Logger:
    """Return the gateway's logger: `timestamp`, `level`, `message`, `name`, `service`, `request_id`, then extras."""
    return Logger(
        service=settings.service_name,
        level=settings.log_level,
        name="gateway",
        log_record_order=["timestamp", "level", "message", "name"],
        # The line of source would take a stack walk and is of little use to an operator.
        location=None,
        use_rfc3339=True,
        utc=True,
    )
