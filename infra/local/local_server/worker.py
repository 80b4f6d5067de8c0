"""One HTTP worker, which the parent of a run starts: `python -m local_server.worker LISTENER CHANNEL SHARES`.

These are descriptors that it inherits: the socket that clients connect to, one end of a pair of sockets, and the file
in which workers tell each other how many connections they have. Through the channel, the parent says what it has made
for the workers, and the worker says that it serves. The channel ends when the parent does, and then the worker ends at
once.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

from local_server.accepting import Shares
from local_server.app import make_app
from local_server.listening import address_of
from local_server.serving import make_server
from local_server.settings import LocalSettings
from local_server.storage import Storage


def main(listener: socket.socket, channel: socket.socket, shares: int) -> None:
    """Serve until SIGTERM, or until the parent has ended."""
    orders = json.loads(channel.makefile().readline())
    storage = Storage(**orders["storage"]) if orders["storage"] else None
    folder = Path(orders["folder"])
    app = make_app(os.environ, storage, folder, Path(orders["broker"]))
    server = make_server(app, LocalSettings.load(os.environ).max_content_length, lambda: channel.send(b"."))
    server.clients.shares = Shares(shares, orders["number"])

    async def serve() -> None:
        asyncio.get_running_loop().add_reader(channel, os._exit, 1)
        await server.serve([listener])

    server.config.load()
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(serve())


def serve_alone(settings: LocalSettings, listener: socket.socket) -> None:
    """Serve in this process, without a parent."""
    server = make_server(make_app(os.environ), settings.max_content_length)
    address = address_of(listener, settings.host)
    print(f"Image Intensity Service: {address} (Ctrl+C stops it)", flush=True)  # noqa: T201 - for a person
    server.run(sockets=[listener])


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
