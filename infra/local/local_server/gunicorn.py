"""gunicorn's configuration: a worker for each core, each with a socket of its own for the same port."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from typing import Any

from uvicorn_worker import UvicornWorker

from local_server.settings import FOLDER, LocalSettings
from local_server.start import IDLE_SECONDS, UVICORN, announce

# Of gunicorn, which has no types.
Arbiter = Any


class Worker(UvicornWorker):  # type: ignore[misc]
    CONFIG_KWARGS = {"loop": "auto", **UVICORN}  # noqa: RUF012 - as its parent has it


settings = LocalSettings.load(os.environ)
bind = f"unix:{settings.unix_socket}" if settings.unix_socket else f"{settings.host}:{settings.port}"
bind = bind.replace(settings.host, f"[{settings.host}]") if ":" in settings.host else bind
reuse_port = not settings.unix_socket
workers = settings.workers
worker_class = Worker
keepalive = IDLE_SECONDS
# A worker that does not say for so long that it lives is replaced.
timeout = 20
# An image may take 25 s, and wait as long for its turn.
graceful_timeout = 55
loglevel = "warning"
control_socket_disable = True
# Its end shows a worker that there is no parent any more. Only the parent has the end to write to.
reader, writer = os.pipe()


def when_ready(server: Arbiter) -> None:
    """Stop as well for Ctrl+C, and when the terminal is closed, as for SIGTERM: finish what is under way."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _, frame: server.signal(signal.SIGTERM, frame))


def post_fork(_server: Arbiter, _worker: Worker) -> None:
    """Stop with a parent that was killed."""
    os.close(writer)
    threading.Thread(target=stop_with_parent, daemon=True).start()


def stop_with_parent() -> None:
    os.read(reader, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def post_worker_init(worker: Worker) -> None:
    """Say where the service is when the first worker has loaded it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if worker.age == 1:
        announce(settings, dict(os.environ))


def on_exit(_server: Arbiter) -> None:
    shutil.rmtree(os.environ[FOLDER], ignore_errors=True)
