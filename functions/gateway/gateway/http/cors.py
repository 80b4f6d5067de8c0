"""Starlette's CORS, but a refused preflight is answered with a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from contract.problems import ProblemCode
from gateway.http.problems import problem_response

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive, Scope, Send


class ProblemCORSMiddleware(CORSMiddleware):
    """Answers a refused preflight with a problem."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to a preflight."""
        response = super().preflight_response(request_headers)
        return response if response.status_code < 400 else RefusedPreflight(response)  # noqa: PLR2004 - HTTP's


class RefusedPreflight(Response):
    """A problem with the reason and the headers of Starlette's refusal.

    The request, and so its id, is known only when the answer is sent.
    """

    def __init__(self, refusal: Response) -> None:
        """Keep the refusal."""
        self.refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the problem."""
        headers = {name: value for name, value in self.refusal.headers.items() if not name.startswith("content-")}
        detail = bytes(self.refusal.body).decode() + "."
        response = problem_response(ProblemCode.MALFORMED_REQUEST, detail, scope["state"]["log"], headers)
        await response(scope, receive, send)
