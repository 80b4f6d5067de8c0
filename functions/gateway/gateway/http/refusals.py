"""What Starlette's layers refuse in plain text is answered with a problem, as everything else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from contract.problems import ProblemCode, ProblemError
from gateway.http.problems import malformed, problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# With a dot at its end, a name is complete.
LOOPBACK = ("localhost", "localhost.", "*.localhost", "*.localhost.", "127.0.0.1", "127.0.0.1.", "[::1]")
MAX_NAME = 253
# What TrustedHostMiddleware says.
INVALID_HOST = "Invalid host header"


class RefusalMiddleware:
    """Around CORSMiddleware and TrustedHostMiddleware, which refuse preflights and names in the header Host.

    StaticFiles refuse ranges of files so, too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Headers | None = None

        async def send_problem(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] >= 400:  # noqa: PLR2004 - HTTP's
                headers = Headers(raw=message["headers"])
                if headers.get("content-type", "").startswith("text/plain"):
                    refused = headers
                    return
            if refused is None:
                await send(message)
                return
            problem = problem_of(scope, message["body"].decode())
            kept = {name: value for name, value in refused.items() if not name.startswith("content-")}
            await problem_response(problem, scope["state"]["report"], kept)(scope, receive, send)

        await self.app(scope, receive, send_problem if scope["type"] == "http" else send)


def problem_of(scope: Scope, text: str) -> ProblemError:
    if text != INVALID_HOST:
        return malformed(f"{text}.")
    host = Headers(scope=scope).get("host", "")
    detail = (
        f"This service is for this machine only, and was asked for as {host[:MAX_NAME]}. Use localhost. "
        "Or allow the name: ALLOWED_HOSTS."
    )
    return ProblemError(ProblemCode.FORBIDDEN, detail)
