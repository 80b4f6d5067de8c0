"""A circuit breaker: stop asking what has just failed (Nygard, "Release It!", chapter 5)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

# After a failure, nothing is tried for this long. Then one request tries again, and if that fails, the rest doubles.
FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 5.0


class Breaker:
    """Closed: everybody may try. Open, after a failure: one request may try after each rest.

    It is for one event loop. Nothing here waits, so no lock is needed.
    """

    def __init__(self, what: str, logger: Logger) -> None:
        self.what = what
        self.logger = logger
        self.open_until: float | None = None
        self.rest_seconds = FIRST_REST_SECONDS

    def allows(self) -> bool:
        """Return whether to try. After the rest, only the first caller may, and the others wait for its result."""
        if self.open_until is None:
            return True
        now = time.monotonic()
        if now < self.open_until:
            return False
        self.rest_seconds = min(2 * self.rest_seconds, LONGEST_REST_SECONDS)
        self.open_until = now + self.rest_seconds
        return True

    def failed(self, error: Exception) -> None:
        """Open. A whole outage is one line in the log."""
        if self.open_until is None:
            self.rest_seconds = FIRST_REST_SECONDS
            self.logger.warning("%s failed; going on without", self.what, extra={"error": told(error)})
        self.open_until = time.monotonic() + self.rest_seconds

    def succeeded(self) -> None:
        if self.open_until is not None:
            self.open_until = None
            self.logger.info("%s works again", self.what)


def told(error: Exception) -> str:
    """Return what the log says of a failure. The error of a timeout has no text."""
    return f"{type(error).__name__}: {str(error) or 'no answer in time'}"
