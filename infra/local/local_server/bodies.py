"""The bodies of requests: how slowly they may come, how many of their bytes may be in memory, and what is discarded.

An idle timeout, to which bytes add, receives a large file over a slow line, and does not wait for who sends no more.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from contract.problems import ProblemCode, ProblemError
from gateway.http.body import FORM_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from local_server.access import Access

# The idle timeout, and the minimum rate, of 128 kbit/s.
IDLE_SECONDS, BYTES_PER_SECOND = 10.0, 16 * 1024
# Bodies up to this size need no place in memory. One that comes a byte a second never gets beyond it.
SMALL_BODY_BYTES = 64 * 1024
# All larger bodies of one process together; or so many of the largest, if that is more.
BUDGET_BYTES, LARGEST_BODIES = 32 * 1024 * 1024, 4
WAIT_SECONDS = 15
# What the application does not read of a body is discarded for so long.
DISCARD_SECONDS = 10

# Where forms of uploads lead to.
UPLOAD_PATH = "/uploads/file"
# The body of the request that is being answered; None for a job, which goes on without its client.
current: ContextVar[Body | None] = ContextVar("current", default=None)


@asynccontextmanager
async def waiting(seconds: float) -> AsyncIterator[None]:
    """Wait for something in this block, for at most so many seconds, and no longer than the client of the request does.

    Raises ProblemError: processor_busy; ClientDisconnect if the client has gone.
    """
    body, watching = current.get(), None
    try:
        async with asyncio.timeout(seconds) as limit:
            # Before all of the body has come, its sender is not watched.
            if body and not body.more:
                watching = asyncio.create_task(body.watch(limit))
            yield
    except TimeoutError as error:
        gone = watching and watching.done()
        raise ClientDisconnect if gone else ProblemError(ProblemCode.PROCESSOR_BUSY) from error
    finally:
        if watching:
            watching.cancel()


class Budget:
    """Memory for bodies: first come, first served."""

    def __init__(self, size: int) -> None:
        self.free = size
        # Who has the lock is the next, and waits until there is enough. A lock is fair.
        self.next, self.freed = asyncio.Lock(), asyncio.Event()

    async def take(self, size: int) -> None:
        async with waiting(WAIT_SECONDS), self.next:
            while self.free < size:
                self.freed.clear()
                await self.freed.wait()
            self.free -= size

    def give_back(self, size: int) -> None:
        self.free += size
        self.freed.set()


class BodyMiddleware:
    """Bounds the bodies of one process, where no API Gateway stands before it, and asks who may send one."""

    def __init__(self, app: ASGIApp, max_content_length: int, access: Access) -> None:
        self.app, self.access = app, access
        self.largest = max_content_length + FORM_BYTES
        self.budget = Budget(max(BUDGET_BYTES, LARGEST_BODIES * self.largest))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = Body(self, scope, receive, send)
        current.set(body)
        try:
            refusal = await self.access.refusal(scope)
            await (refusal or self.app)(scope, body.receive, body.send)
        finally:
            self.budget.give_back(body.taken)


class Body:
    """The body of one request. taken: bytes of memory that it has a place for."""

    def __init__(self, bounds: BodyMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self.bounds, self.scope, self.server_receive, self.server_send = bounds, scope, receive, send
        headers = dict(scope["headers"])
        chunked = b"transfer-encoding" in headers
        self.more = chunked or b"content-length" in headers
        # How much of the body the application may keep.
        declared = bounds.largest if chunked else int(headers.get(b"content-length", b"0"))
        self.memory = 0 if scope["path"] == UPLOAD_PATH else min(declared, bounds.largest)
        # A client with the header "Expect: 100-continue" waits before it sends. It gets its answer at once.
        self.discard = b"expect" not in headers
        # Bodies that came together must not all be answered in the same moment.
        self.idle_seconds = self.seconds_left = IDLE_SECONDS * uniform(1, 1.1)  # noqa: S311
        self.received = self.taken = 0

    async def receive(self) -> Message:
        """Receive a piece, for the application. Raises ProblemError: request_timeout, processor_busy."""
        if not self.more:
            return await self.server_receive()
        if self.received > SMALL_BODY_BYTES and self.memory and not self.taken:
            await self.bounds.budget.take(self.memory)
            self.taken = self.memory
        begun = monotonic()
        try:
            async with asyncio.timeout(self.seconds_left):
                message = await self.server_receive()
        except TimeoutError as error:
            # There is nothing to wait for before the answer.
            self.discard = False
            raise ProblemError(ProblemCode.REQUEST_TIMEOUT) from error
        size = len(message.get("body", b""))
        self.seconds_left = min(self.idle_seconds, self.seconds_left - (monotonic() - begun) + size / BYTES_PER_SECOND)
        self.received += size
        self.more = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send an answer, when the client has finished sending: else it may see a broken connection and no answer."""
        if self.more and message["type"] == "http.response.start":
            with suppress(TimeoutError):
                async with asyncio.timeout(DISCARD_SECONDS):
                    while self.more and self.discard:
                        self.more = (await self.server_receive()).get("more_body", False)
            if self.more:
                # The client may leave the rest out, and its next request would be read as that.
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        await self.server_send(message)

    async def watch(self, limit: asyncio.Timeout) -> None:
        """Have it time out when the client has closed its connection. Only for when the body has been read."""
        while (await self.server_receive())["type"] != "http.disconnect":
            pass
        limit.reschedule(0)
