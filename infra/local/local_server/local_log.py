"""The log of the local run: lines for people on a terminal, JSON elsewhere, and none for health checks that pass."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import suppress
from logging.handlers import QueueHandler
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from gateway.log import make_logger

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from gateway.settings import Settings

HEALTH = ("/health", "/health/ready")
ERROR = 400
# Some seconds of lines of a busy worker.
MOST_WAITING = 10_000
# At its end, a worker waits so long for its lines to be taken.
LAST_SECONDS = 1
PAUSE_SECONDS = 0.05


def make_local_logger(settings: Settings) -> Logger:
    """Return the gateway's logger. Its lines are for a person if standard output is a terminal."""
    handler = Lines()
    logger = make_logger(settings, handler)
    if sys.stdout.isatty():
        handler.setFormatter(LinesForPeople())
    return logger


class Lines(QueueHandler):
    """Puts lines into a queue, already formatted, unless it is full; a thread writes them."""

    queue: Queue[logging.LogRecord]

    def __init__(self) -> None:
        super().__init__(Queue())
        self.addFilter(is_news)
        Thread(target=self.write, daemon=True).start()

    def enqueue(self, record: logging.LogRecord) -> None:
        if self.queue.qsize() < MOST_WAITING:
            self.queue.put(record)

    def write(self) -> None:
        """Write each line at once, because all workers write to the same pipe."""
        while True:
            line = f"{self.queue.get().getMessage()}\n".encode(errors="replace")
            # The disk may be full: requests are answered nevertheless.
            with suppress(OSError):
                while line:
                    line = line[os.write(sys.stdout.fileno(), line) :]
            self.queue.task_done()
            if self.queue.empty():
                # To be woken for each line would cost a request a tenth of its time.
                time.sleep(PAUSE_SECONDS)

    def flush(self) -> None:
        """Let the last lines be written, unless nobody takes them. `logging` calls this at the end of the process."""
        end = time.monotonic() + LAST_SECONDS
        while self.queue.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.01)


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
