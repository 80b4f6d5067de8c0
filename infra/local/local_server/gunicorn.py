"""gunicorn's configuration: a worker for each core, each with a socket of its own for the same port."""

from __future__ import annotations

import os
import shutil
import signal
from typing import Any

from uvicorn_worker import UvicornWorker

from local_server.settings import FOLDER, LocalSettings
from local_server.start import IDLE_SECONDS, UVICORN, announce, place


class Worker(UvicornWorker):  # type: ignore[misc]
    CONFIG_KWARGS = {"loop": "auto", "timeout_notify": 1, **UVICORN}  # noqa: RUF012 - as its parent has it

    async def callback_notify(self) -> None:
        """Say each second that it lives, and stop with a parent that was killed."""
        await super().callback_notify()
        if os.getppid() != self.ppid:
            os.kill(os.getpid(), signal.SIGTERM)


settings = LocalSettings.load(os.environ)
bind = place(settings)
reuse_port = not settings.unix_socket
workers = settings.workers
worker_class = Worker
keepalive = IDLE_SECONDS
# A worker that does not say for so long that it lives is replaced.
timeout = 20
# An image may wait 25 s in the queue, then for the one before it, and take 25 s.
graceful_timeout = 80
loglevel = "warning"
control_socket_disable = True


def when_ready(server: Any) -> None:  # noqa: ANN401 - gunicorn has no types
    """Stop as well for Ctrl+C, and when the terminal is closed, as for SIGTERM: finish what is under way."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _, frame: server.signal(signal.SIGTERM, frame))


def post_worker_init(worker: Worker) -> None:
    """Say where the service is when the first worker has loaded it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if worker.age == 1:
        announce(settings)


def on_exit(_server: object) -> None:
    shutil.rmtree(os.environ[FOLDER], ignore_errors=True)
