"""Reading the bodies of requests: senders that were given up, and a budget for the memory of all bodies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from contract.problems import ProblemCode, ProblemError
from local_server.connection import CROWDED_DETAIL, current

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local_server.connection import Clients, Connection

# Bodies up to this size need no place in the budget. So large ones cannot hold them up.
SMALL_BODY_BYTES = 64 * 1024
# All larger bodies of one process together, while they arrive and while they are measured.
BUDGET_BYTES = 32 * 1024 * 1024
WAIT_SECONDS = 15
RETRY_SECONDS = 0.25


class PatienceMiddleware:
    """Ends requests whose body the connection does not wait for any more, and tells others whose requests they are."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. The application's `receive` raises the problem for which the sender was given up."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        connection: Connection = scope["state"]["connection"]
        current.set(connection)

        async def receive_with_patience() -> Message:
            if not connection.given_up:
                message = await receive()
            if problem := connection.given_up:
                # A new one: the traceback of one that is kept would keep the body in memory.
                raise ProblemError(problem.code, problem.detail)
            return message

        await self.app(scope, receive_with_patience, send)


class Budget:
    """The memory for bodies. A body has its place before it is read, so those that have one can be read to the end."""

    def __init__(self, size: int, clients: Clients) -> None:
        """Share out `size` bytes."""
        self.free = size
        self.clients = clients
        self.queue: list[tuple[int, asyncio.Future[None]]] = []

    async def take(self, size: int) -> None:
        """Wait for `size` bytes. Raises ProblemError: processor_busy.

        While something waits, senders that are late are given up. The newest is served first: those that have waited
        for long are more often gone, and many slow senders cannot keep others in a queue behind them.
        """
        if self.free >= size:
            self.free -= size
            return
        place = (size, asyncio.get_running_loop().create_future())
        self.queue.append(place)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not place[1].done():
                    self.clients.give_up_latest()
                    await asyncio.wait([place[1]], timeout=RETRY_SECONDS)
        except BaseException as error:
            if place in self.queue:
                self.queue.remove(place)
            else:
                self.give_back(size)
            if isinstance(error, TimeoutError):
                raise ProblemError(ProblemCode.PROCESSOR_BUSY, CROWDED_DETAIL) from error
            raise

    def give_back(self, size: int) -> None:
        """Have `size` bytes for others."""
        self.free += size
        while self.queue and self.queue[-1][0] <= self.free:
            taken, future = self.queue.pop()
            self.free -= taken
            future.set_result(None)


class BudgetMiddleware:
    """Lets a request with a large body wait until there is memory for it."""

    def __init__(self, app: ASGIApp, budget: Budget, max_body_bytes: int) -> None:
        """Wrap `app`, which reads at most `max_body_bytes` of a body."""
        self.app = app
        self.budget = budget
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        size = self.memory_for(scope) if scope["type"] == "http" else 0
        if size <= SMALL_BODY_BYTES:
            await self.app(scope, receive, send)
            return
        taken = 0

        async def receive_within_budget() -> Message:
            nonlocal taken
            if not taken:
                connection: Connection = scope["state"]["connection"]
                connection.held_back = True
                try:
                    await self.budget.take(size)
                finally:
                    connection.held_back = False
                taken = size
            return await receive()

        try:
            await self.app(scope, receive_within_budget, send)
        finally:
            if taken:
                self.budget.give_back(taken)

    def memory_for(self, scope: Scope) -> int:
        """Return how much of a body the application may keep at a time (bytes)."""
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        if b"transfer-encoding" in headers or len(declared) > len(str(self.max_body_bytes)):
            return self.max_body_bytes
        return min(int(declared), self.max_body_bytes) if declared.isdigit() else 0
