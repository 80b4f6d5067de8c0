"""Serving an application with uvicorn, in this process or in one that is started anew after each change."""

from __future__ import annotations

import os
import socket
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.supervisors import ChangeReload

from gateway.settings import SettingsError
from local_server.app import REPOSITORY, make_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from local_server.storage import Storage

CODE = ("core", "functions", "infra/local", "layers")
# Ctrl+C waits this long for the requests under way.
SHUTDOWN_SECONDS = 5


def run(app: FastAPI, sockets: list[socket.socket]) -> None:
    """Serve `app` until a signal ends that."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    uvicorn.Server(config).run(sockets=sockets)


def run_reloading(storage: Storage | None, sockets: list[socket.socket]) -> None:
    """Serve in another process, and in a new one after each change of the code."""
    folders = [str(REPOSITORY / folder) for folder in CODE]
    # uvicorn watches only for an application that it has by name. The processes call `target` and do not use the name.
    config = uvicorn.Config("local_server.app:make_app", reload=True, reload_dirs=folders, log_level="warning")
    ChangeReload(config, target=partial(make_and_run, dict(os.environ), storage), sockets=sockets).run()


def make_and_run(environment: Mapping[str, str], storage: Storage | None, sockets: list[socket.socket]) -> None:
    """Make the application anew, and serve it until a signal ends that."""
    run(make_app(environment, storage), sockets)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address. Raises SettingsError if that is not possible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        # Without this, the port of a server that has just stopped is in use for another minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # From now on, clients wait for an answer. Before, they were refused.
        listener.listen()
    except (OSError, UnicodeError) as error:
        # A UnicodeError comes from a host name with an empty or too long part.
        reason = error.strerror if isinstance(error, OSError) else "not the name of a host"
        message = f"port {port} of {host}: {reason}. Choose another: PORT=5001 make run"
        raise SettingsError(message) from error
    listener.set_inheritable(True)
    return listener
