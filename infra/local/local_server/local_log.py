"""The log of the local run: lines for people on a terminal, JSON elsewhere, and none for health checks that pass.

Lines are written by a thread of their own. A reader that stalls holds up no request: what it does not take is counted.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import time
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from typing import TYPE_CHECKING

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from gateway.log import make_logger

if TYPE_CHECKING:
    from gateway.settings import Settings

HEALTH = ("/health", "/health/ready")
ERROR = 400
# Some seconds of lines of a busy worker.
MOST_WAITING = 10_000
# At its end, a worker waits so long for its lines to be taken.
LAST_SECONDS = 1


class LocalLog:
    """The gateway's logger, for a person if standard output is a terminal, and the thread that writes its lines."""

    def __init__(self, settings: Settings) -> None:
        self.lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        handler = CountingHandler(self.lines)
        handler.addFilter(is_news)
        self.logger = make_logger(settings, handler)
        if sys.stdout.isatty():
            handler.setFormatter(LinesForPeople())
        self.listener = QueueListener(self.lines, DescriptorHandler(sys.stdout.fileno()))
        self.listener.start()

    def close(self) -> None:
        """Let the last lines be written, unless nobody takes them."""
        end = time.monotonic() + LAST_SECONDS
        while not self.lines.empty() and time.monotonic() < end:
            time.sleep(0.01)


class CountingHandler(QueueHandler):
    """Puts lines into a queue, already formatted, and counts those for which there is no room."""

    queue: queue.SimpleQueue[logging.LogRecord]
    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put a line into the queue; before it, how many were lost."""
        if self.queue.qsize() >= MOST_WAITING:
            self.dropped += 1
            return
        if self.dropped:
            lost = logging.makeLogRecord({"msg": f"{self.dropped} lines were dropped: nobody took them"})
            self.queue.put(self.prepare(lost))
            self.dropped = 0
        self.queue.put(record)


class DescriptorHandler(logging.Handler):
    """Writes each line at once, because all workers write to the same pipe."""

    failed = False

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line. If that fails, say so once: requests are answered nevertheless."""
        line = f"{record.getMessage()}\n".encode(errors="replace")
        try:
            while line:
                line = line[os.write(self.descriptor, line) :]
        except OSError as error:
            if not self.failed:
                self.failed = True
                with suppress(OSError):
                    print(f"The log cannot be written: {error}", file=sys.stderr, flush=True)  # noqa: T201


def is_news(record: logging.LogRecord) -> bool:
    """Return whether a record is more than a health check that has passed. There is one every few seconds."""
    request = getattr(record, "extra_info", {})
    return request.get("path") not in HEALTH or request["status_code"] >= ERROR


class LinesForPeople(LambdaPowertoolsFormatter):
    """One line for each request. The logger gives Powertools' formatter the request id, so this is one."""

    others = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        request = getattr(record, "extra_info", None)
        if not request:
            error = getattr(record, "error", "")
            return self.others.format(record) + (f": {error}" if error else "")
        # A client may send characters that move the cursor of a terminal, or a line that looks like one of ours.
        path = request["path"].encode("unicode_escape").decode()
        time = self.others.formatTime(record, self.others.datefmt)
        line = f"{time} {request['method']:4} {path} {request['status_code']} {request['duration_ms']:.1f} ms"
        return " ".join([line, *filter(None, [request["cache"], request.get("problem")])])
