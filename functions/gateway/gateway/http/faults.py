"""The last resort for faults of the service: a problem as the answer, and the traceback in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from contract.problems import ProblemCode, ProblemError
from gateway.http.problems import problem_response

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.http.request_log import RequestLog


class FaultMiddleware:
    """The innermost layer: answers an unhandled exception with a 500 that tells nothing about the inside.

    It is inside the CORS layer, so that the page can read the answer. The framework's own handler would be outside.
    """

    def __init__(self, app: ASGIApp, logger: Logger) -> None:
        self.app = app
        self.logger = logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noting_start)
        except ClientDisconnect:
            raise
        except Exception:
            self.logger.exception("unhandled fault")
            if started:
                raise
            log: RequestLog = scope["state"]["log"]
            await problem_response(ProblemError(ProblemCode.INTERNAL_ERROR), log)(scope, receive, send)
