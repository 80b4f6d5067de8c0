"""Lets a client finish sending before it gets its answer.

A client whose connection is closed while it sends sees a broken connection and no answer. On Lambda this cannot happen:
API Gateway has read the whole body before it invokes the gateway. So only the local server needs this.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from contract.problems import ProblemError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A client may take this long to send what is discarded.
DRAIN_SECONDS = 10


class DrainMiddleware:
    """Reads and discards the rest of the body before the answer is sent, up to `limit` bytes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        """Wrap `app`."""
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        # A client with the header "Expect: 100-continue" waits before it sends. It gets its answer at once.
        waits = b"expect" in headers and (b"content-length" in headers or b"transfer-encoding" in headers)
        more = True

        async def receive_noting_end() -> Message:
            nonlocal more
            message = await receive()
            more = message.get("more_body", False)
            return message

        async def drain() -> None:
            dropped = 0
            while more and dropped <= self.limit:
                dropped += len((await receive_noting_end()).get("body", b""))

        async def send_after_body(message: Message) -> None:
            if more and message["type"] == "http.response.start":
                if not waits:
                    with suppress(TimeoutError, ProblemError):
                        async with asyncio.timeout(DRAIN_SECONDS):
                            await drain()
                if more:
                    # The client may leave the rest out, and its next request would be read as that.
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self.app(scope, receive_noting_end, send_after_body)
