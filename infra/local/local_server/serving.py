"""Serving an application with uvicorn, on uvloop and httptools where the system has them."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from gateway.http.body import FORM_BYTES
from local_server.accepting import Acceptor
from local_server.bodies import BUDGET_BYTES, Budget, BudgetMiddleware, PatienceMiddleware
from local_server.connection import Clients, Connection, Patience
from local_server.drain import DrainMiddleware
from local_server.settings import SHUTDOWN_SECONDS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from starlette.types import ASGIApp

# The most connections of one process, if the limit on open files allows so many.
MAX_CONNECTIONS = 2000
# Files that a process has open besides its connections: 16 when it starts, the log, and files of the page.
OTHER_FILES = 32
# Of a body that the application does not read, discard at most this many files of the largest size.
DISCARD_FACTOR = 20
# So many of the largest bodies have room in memory in any case.
LARGEST_BODIES = 4


class Server(uvicorn.Server):
    """The server of one process."""

    def __init__(self, config: uvicorn.Config, clients: Clients, on_start: Callable[[], object]) -> None:
        """Serve what `config` says. `on_start` is called when clients are served."""
        super().__init__(config)
        self.clients = clients
        self.on_start = on_start
        self.acceptors: list[Acceptor] = []

    def connection(self) -> Connection:
        """Return the protocol of a new connection, as uvicorn makes it."""
        return Connection(self.config, self.server_state, self.lifespan.state)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        # Where the connections find it.
        self.lifespan.state["clients"] = self.clients
        if self.clients.shares:
            await super().startup([])
            self.acceptors = [Acceptor(each, self.connection, self.clients.shares) for each in sockets or []]
        else:
            await super().startup(sockets)
        self.watch = asyncio.create_task(self.clients.watch())
        self.on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the requests under way finish for a while, then leave."""
        for server in self.servers:
            server.close()
        for acceptor in self.acceptors:
            acceptor.close()
        for each in sockets or []:
            each.close()
        for connection in list(self.clients.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await self.clients.all_gone.wait()
        self.watch.cancel()
        # What is still under way is cancelled when the loop ends. uvicorn would print a traceback for each.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


def make_server(
    app: ASGIApp,
    max_content_length: int,
    on_start: Callable[[], object] = lambda: None,
    *,
    patience: Patience | None = None,
    max_connections: int | None = None,
) -> Server:
    """Return the server of `app`, which takes files of up to `max_content_length` bytes.

    on_start: called when clients are served. patience, max_connections: for tests.
    """
    patience = patience or Patience()
    clients = Clients(patience, max_connections or connection_limit())
    body = max_content_length + FORM_BYTES
    budget = Budget(max(BUDGET_BYTES, LARGEST_BODIES * body), clients)
    draining = DrainMiddleware(BudgetMiddleware(app, budget, body), limit=DISCARD_FACTOR * max_content_length)
    config = uvicorn.Config(
        PatienceMiddleware(draining),
        http=Connection,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        # Patience ends an idle connection. uvicorn would do it after 5 s, while nginx still keeps it (20 s).
        timeout_keep_alive=math.ceil(patience.idle_seconds) + 1,
        # Who sent a request is whoever is connected. Only make_app knows proxies that may say otherwise.
        proxy_headers=False,
    )
    return Server(config, clients, on_start)


def connection_limit() -> int:
    """Return how many connections this process may have, after raising its limit on open files as far as it may."""
    if sys.platform == "win32":
        # There is no such limit to ask for.
        return MAX_CONNECTIONS
    import resource  # noqa: PLC0415 - Windows has none

    # A request may need a second file while it is answered.
    wanted = OTHER_FILES + 2 * MAX_CONNECTIONS
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return MAX_CONNECTIONS if allowed == resource.RLIM_INFINITY else max(1, (min(wanted, allowed) - OTHER_FILES) // 2)
