"""Who may use the local server. On AWS, API Gateway has its own keys and usage plans, and the same answers."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from contract.problems import ProblemCode, ProblemError
from gateway.http.problems import problem_response
from local_server.bodies import UPLOAD_PATH
from local_server.settings import OFF

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from starlette.responses import Response
    from starlette.types import Scope

    from gateway.measuring.outcome import Report
    from local_server.rate_limits import RateLimits
    from local_server.settings import LocalSettings

KEY_HEADER = "x-api-key"
# RFC 9110 (section 11.6.1) allows this header with a 403: other credentials would help. The page asks for a key then.
ASK_FOR_KEY = {"WWW-Authenticate": "ApiKey"}


class Access:
    """Who may send a POST. All else costs next to nothing. Forms of uploads were given to somebody with a key."""

    def __init__(self, settings: LocalSettings, logger: Logger) -> None:
        # Without any, everyone may enter.
        self.digests = {digest.lower() for digest in settings.api_keys}
        self.rate_limits = make_rate_limits(settings, logger)

    async def refusal(self, scope: Scope) -> Response | None:
        if scope["method"] != "POST" or scope["path"] == UPLOAD_PATH:
            return None
        report: Report = scope["state"]["report"]
        if self.digests:
            # Nobody can choose digests, so the time that it takes says nothing about the keys.
            digest = sha256(Headers(scope=scope).get(KEY_HEADER, "").encode()).hexdigest()
            if digest not in self.digests:
                return problem_response(ProblemError(ProblemCode.FORBIDDEN), report, ASK_FOR_KEY)
            report.caller = digest[:8]
        if self.rate_limits:
            address, _ = scope.get("client") or ("", 0)
            if seconds := await self.rate_limits.seconds_to_wait(report.caller, address):
                detail = f"Too many requests. Please try again in {seconds} s."
                error = ProblemError(ProblemCode.TOO_MANY_REQUESTS, detail)
                return problem_response(error, report, {"Retry-After": str(seconds)})
        return None


def make_rate_limits(settings: LocalSettings, logger: Logger) -> RateLimits | None:
    if settings.rate_limit_per_address == OFF and (not settings.api_keys or settings.rate_limit_per_key == OFF):
        return None
    # Not at the top of the file: the libraries take 80 ms, and most runs have no limits.
    from local_server.rate_limits import RateLimits  # noqa: PLC0415

    return RateLimits(settings, logger)
