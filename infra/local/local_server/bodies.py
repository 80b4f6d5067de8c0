"""The bodies of requests: how slowly they may come, how many of their bytes may be in memory, and what is discarded.

A client has ten seconds of patience, which its bytes pay back: a large file over a slow line is received, and a sender
that stops is not waited for. What a server could do before this, it does: see SECURITY.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from contract.problems import ProblemCode, ProblemError
from gateway.http.body import FORM_BYTES
from gateway.http.problems import malformed, problem_response
from local_server.start import HEAD_BYTES
from local_server.uploads import PATH as UPLOAD_PATH

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# 16 KB pay for a second: 128 kbit/s.
LEAST_SECONDS, BYTES_PER_SECOND = 10.0, 16 * 1024
# Bodies up to this size need no place in memory. One that comes a byte a second never gets beyond it.
SMALL_BODY_BYTES = 64 * 1024
# All larger bodies of one process together; or so many of the largest, if that is more.
BUDGET_BYTES, LARGEST_BODIES = 32 * 1024 * 1024, 4
WAIT_SECONDS = 15
# Of a body that the application does not read, at most so much is discarded, and for so long.
DISCARD_FACTOR, DISCARD_SECONDS = 20, 10

CROWDED_DETAIL = "The service has too much to do. Please try again in a moment."
HEAD_DETAIL = f"The head of the request is over {HEAD_BYTES:,} bytes."

# The body of the request that is being answered; None for a job, which goes on without its client.
current: ContextVar[Body | None] = ContextVar("current", default=None)


class Budget:
    """Memory for bodies: first come, first served."""

    def __init__(self, size: int) -> None:
        self.free = size
        self.queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> None:
        """Wait for `size` bytes. Raises ProblemError: processor_busy."""
        place = size, asyncio.get_running_loop().create_future()
        self.queue.append(place)
        self.hand_out()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await place[1]
        except BaseException as error:
            if place in self.queue:
                self.queue.remove(place)
                self.hand_out()
            elif not place[1].cancelled():
                self.give_back(size)
            if isinstance(error, TimeoutError):
                raise ProblemError(ProblemCode.PROCESSOR_BUSY, CROWDED_DETAIL) from error
            raise

    def give_back(self, size: int) -> None:
        self.free += size
        self.hand_out()

    def hand_out(self) -> None:
        while self.queue and self.queue[0][0] <= self.free:
            size, place = self.queue.popleft()
            self.free -= size
            if place.done():
                self.free += size
            else:
                place.set_result(None)


class BodyMiddleware:
    """Bounds the bodies of one process, and the heads of requests."""

    def __init__(self, app: ASGIApp, max_content_length: int) -> None:
        self.app = app
        self.largest = max_content_length + FORM_BYTES
        self.discard = DISCARD_FACTOR * max_content_length
        self.budget = Budget(max(BUDGET_BYTES, LARGEST_BODIES * self.largest))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # The server bounds what has arrived of a head. One that arrives at once may be longer.
        if sum(len(name) + len(value) for name, value in scope["headers"]) + len(scope["raw_path"]) > HEAD_BYTES:
            refusal = malformed(HEAD_DETAIL)
            await problem_response(refusal, scope["state"]["log"])(scope, receive, send)
            return
        body = Body(self, scope, receive, send)
        current.set(body)
        try:
            await self.app(scope, body.receive, body.send)
        finally:
            self.budget.give_back(body.taken)


class Body:
    """The body of one request. taken: bytes of memory that it has a place for."""

    def __init__(self, bounds: BodyMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self.bounds, self.server_receive, self.server_send = bounds, receive, send
        headers = dict(scope["headers"])
        self.memory = self.memory_for(headers) if scope["path"] != UPLOAD_PATH else 0
        # A client with the header "Expect: 100-continue" waits before it sends. It gets its answer at once.
        self.discarded = 0 if b"expect" not in headers else bounds.discard
        self.more = b"content-length" in headers or b"transfer-encoding" in headers
        self.patience, self.received, self.taken = LEAST_SECONDS, 0, 0

    def memory_for(self, headers: dict[bytes, bytes]) -> int:
        """Return how much of the body the application may keep at a time (bytes)."""
        declared = headers.get(b"content-length", b"")
        if b"transfer-encoding" in headers or len(declared) > len(str(self.bounds.largest)):
            return self.bounds.largest
        return min(int(declared), self.bounds.largest) if declared.isdigit() else 0

    async def receive(self) -> Message:
        """Receive a piece, for the application. Raises ProblemError: request_timeout, processor_busy."""
        if not self.more:
            return await self.server_receive()
        if self.received > SMALL_BODY_BYTES and self.memory and not self.taken:
            await self.bounds.budget.take(self.memory)
            self.taken = self.memory
        time = asyncio.get_running_loop().time
        begun = time()
        try:
            async with asyncio.timeout(self.patience):
                message = await self.server_receive()
        except TimeoutError as error:
            # There is nothing to wait for before the answer.
            self.discarded = self.bounds.discard
            raise ProblemError(ProblemCode.REQUEST_TIMEOUT) from error
        size = len(message.get("body", b""))
        self.patience = min(LEAST_SECONDS, self.patience - (time() - begun) + size / BYTES_PER_SECOND)
        self.received += size
        self.more = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send an answer, when the client has finished sending: else it may see a broken connection and no answer."""
        if self.more and message["type"] == "http.response.start":
            with suppress(TimeoutError):
                async with asyncio.timeout(DISCARD_SECONDS):
                    while self.more and self.discarded < self.bounds.discard:
                        piece = await self.server_receive()
                        self.discarded += len(piece.get("body", b""))
                        self.more = piece.get("more_body", False)
            if self.more:
                # The client may leave the rest out, and its next request would be read as that.
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        await self.server_send(message)

    async def client_gone(self) -> None:
        """Wait until the client has closed its connection. Only for when the body has been read."""
        while (await self.server_receive())["type"] != "http.disconnect":
            pass
