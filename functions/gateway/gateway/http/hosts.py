"""Which names a request may have in its header Host, against DNS rebinding.

A page of somebody else's can have its own name lead to 127.0.0.1. To the browser, the service on this machine is then
at the page's origin, and the page may read its answers. Only the header Host shows the name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from contract.problems import ProblemCode
from gateway.http.problems import problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PORT = re.compile(r":\d*$")
# The longest name of a host.
MAX_NAME = 253


class HostMiddleware:
    """Refuses requests for other hosts than the loopback ones and the allowed ones."""

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...]) -> None:
        """Wrap `app`. Of the hosts that are no loopback ones, let those in `allowed` pass."""
        self.app = app
        self.allowed = {name.lower() for name in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. One without the header is not from a browser."""
        host = PORT.sub("", Headers(scope=scope).get("host", "")) if scope["type"] == "http" else ""
        if not host or host.lower() in self.allowed or is_loopback(host):
            await self.app(scope, receive, send)
            return
        detail = (
            f"This service is for this machine only, and was asked for as {host[:MAX_NAME]}. Use localhost. "
            "Or allow the name: ALLOWED_HOSTS."
        )
        await problem_response(ProblemCode.FORBIDDEN, detail, scope["state"]["log"])(scope, receive, send)


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return whether a host, by name or address and without port, is this machine for every browser."""
    # With a dot at its end, a name is complete.
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
