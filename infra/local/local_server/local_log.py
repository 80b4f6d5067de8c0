"""The log of the local run: lines for people on a terminal, JSON elsewhere, and none for health checks that pass."""

from __future__ import annotations

import asyncio
import logging
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from gateway.log import FORMAT, make_logger, written

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from gateway.settings import Settings

HEALTH = ("/health", "/health/ready")
ERROR = 400
# So many bytes are written to a pipe as one (POSIX). Of a longer write, another worker's lines may get into the middle.
WHOLE_BYTES = getattr(select, "PIPE_BUF", 512)


def make_local_logger(settings: Settings) -> Logger:
    """Return the gateway's logger, for a person if standard output is a terminal."""
    handler = LinesTogether(sys.stdout)
    handler.addFilter(is_news)
    logger = make_logger(settings, handler)
    handler.setFormatter(LinesForPeople() if sys.stdout.isatty() else LinesForPrograms(settings.service_name))
    return logger


class LinesTogether(logging.StreamHandler[TextIO]):
    """Writes at once the lines of all requests that one turn of the event loop has answered.

    A write for each line would cost a system call, and wake whoever reads the log. Many lines are several writes, each
    of whole lines, because all workers write to the same pipe.
    """

    scheduled = failed = False
    unwritten = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Add a line to those that are to be written."""
        try:
            line = self.format(record) + self.terminator
            size = len(line.encode(errors="replace"))
            if self.unwritten + size > WHOLE_BYTES:
                self.flush_now()
            self.unwritten += size
            self.stream.write(line)
            self.flush()
        except Exception:  # noqa: BLE001 - as logging does it
            self.handleError(record)

    def flush(self) -> None:
        """Write the lines that are there: at the end of the loop's turn, or now where there is no loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.unwritten = 0
            super().flush()
            return
        if not self.scheduled:
            self.scheduled = True
            loop.call_soon(self.flush_now)

    def flush_now(self) -> None:
        """Write the lines that are there."""
        self.scheduled = False
        self.unwritten = 0
        try:
            super().flush()
        except OSError:
            self.report()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's
        """Do not print a traceback for each line that is lost, as logging does it."""
        self.report()

    def report(self) -> None:
        """Say once why the log cannot be written. Requests are answered nevertheless."""
        if not self.failed:
            self.failed = True
            with suppress(OSError):
                print(f"The log cannot be written: {sys.exception()}", file=sys.stderr, flush=True)  # noqa: T201


def is_news(record: logging.LogRecord) -> bool:
    """Return whether a record is more than a health check that has passed. There is one every few seconds."""
    request = getattr(record, "extra_info", {})
    return request.get("path") not in HEALTH or request["status_code"] >= ERROR


class LinesForPrograms(LambdaPowertoolsFormatter):
    """The gateway's lines. That of a request, which is the frequent one, is made in half of the time."""

    def __init__(self, service_name: str) -> None:
        """Write lines of the service with this name."""
        super().__init__(service=service_name, **FORMAT)
        self.service_name = service_name

    def format(self, record: logging.LogRecord) -> str:
        """Return a line of JSON."""
        request = getattr(record, "extra_info", None)
        if not request:
            return super().format(record)
        line = {
            "timestamp": self.formatTime(record),
            "level": record.levelname,
            "message": record.getMessage(),
            "name": record.name,
            "service": self.service_name,
            **self.thread_safe_get_current_keys(),
            "extra_info": request,
        }
        return written(line)


class LinesForPeople(LambdaPowertoolsFormatter):
    """One line for each request: when, what, the answer, how long it took, and whether the cache knew it.

    The logger gives Powertools' formatter the request id, so this is one.
    """

    others = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a request, or what has failed and why."""
        request = getattr(record, "extra_info", None)
        if not request:
            error = getattr(record, "error", "")
            return self.others.format(record) + (f": {error}" if error else "")
        # A client may send characters that move the cursor of a terminal, or a line that looks like one of ours.
        path = request["path"].encode("unicode_escape").decode()
        time = self.others.formatTime(record, self.others.datefmt)
        line = f"{time} {request['method']:4} {path} {request['status_code']} {request['duration_ms']:.1f} ms"
        return " ".join([line, *filter(None, [request["cache"], request.get("problem")])])
