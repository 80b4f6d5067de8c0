"""What an HTTP worker sends to the broker: the length of the JSON, the JSON, and behind it the bytes of an image."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from contract.invocation import StoredImage
from local_server.measuring.header import is_small

if TYPE_CHECKING:
    import socket

    from contract.invocation import Invocation

LENGTH = struct.Struct(">I")


def written(content: dict[str, Any]) -> bytes:
    """Return a request as it is sent."""
    line = json.dumps(content).encode()
    return LENGTH.pack(len(line)) + line


async def read(connection: socket.socket) -> bytes:
    """Return the JSON of the request on a connection, and leave the image there. Raises EOFError and OSError."""
    loop = asyncio.get_running_loop()
    received = b""
    for size in (LENGTH.size, 0):
        end = len(received) + (size or LENGTH.unpack(received)[0])
        while len(received) < end:
            piece = await loop.sock_recv(connection, end - len(received))
            if not piece:
                raise EOFError
            received += piece
    return received[LENGTH.size :]


def request(invocation: Invocation, *, job: bool = False) -> dict[str, Any]:
    """Return what to measure: the contract's event, without the image. size: of the image that follows.

    kind: of the process that is to measure it.
    """
    if isinstance(invocation.image, StoredImage):
        return {"size": 0, "kind": "job" if job else "any", "event": invocation.to_event()}
    event = replace(invocation, image=b"").to_event()
    kind = "job" if job else "small" if is_small(invocation.image) else "any"
    return {"size": len(invocation.image), "kind": kind, "event": event}
