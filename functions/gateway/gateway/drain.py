"""Lets a client finish sending before it is answered: one that is cut off sees a broken connection and no answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# How long a client may take to send what nobody will read.
DRAIN_SECONDS = 10


class DrainMiddleware:
    """Reads and drops what the application left of the body, up to `limit` bytes, before its answer goes out."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        """Wrap `app`."""
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # A client that expects to be asked has sent nothing yet, and an answer in place of the "100 Continue" is
        # just what it waits for.
        if scope["type"] != "http" or "expect" in Headers(scope=scope):
            await self.app(scope, receive, send)
            return
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
            if message["type"] == "http.response.start":
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        await drain()
            await send(message)

        await self.app(scope, receive_noting_end, send_after_body)
