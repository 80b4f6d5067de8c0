"""Who may use the local server, where no API Gateway stands before it: API keys and rate limits, for every POST.

On AWS, API Gateway does the same with its own keys and usage plans (template.yaml). Its answers are the same.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from contract.problems import ProblemCode, ProblemError
from gateway.http.problems import problem_response
from local_server.settings import OFF
from local_server.uploads import PATH as UPLOAD_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_lambda_powertools import Logger
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.http.request_log import RequestLog
    from local_server.rate_limits import RateLimits
    from local_server.settings import LocalSettings

KEY_HEADER = "x-api-key"
# RFC 9110 (section 11.6.1) allows this header with a 403: other credentials would help. The page asks for a key then.
ASK_FOR_KEY = {"WWW-Authenticate": "ApiKey"}


class Keys:
    """The API keys that are valid, of which only the SHA-256 is known."""

    def __init__(self, digests: Iterable[str]) -> None:
        self.digests = [bytes.fromhex(digest) for digest in digests]

    def name_of(self, key: str) -> str | None:
        """Return the name of a key for the log, the first 8 digits of its SHA-256; None if it is not valid."""
        digest = hashlib.sha256(key.encode()).digest()
        # Compare with every key and to the last byte: the time that it takes says nothing about them.
        found = [hmac.compare_digest(digest, known) for known in self.digests]
        return digest.hex()[:8] if any(found) else None


class AccessMiddleware:
    """Lets a POST in or refuses it, before its body is read. All other requests pass: they cost next to nothing.

    So do forms of uploads, which were given to somebody who was let in.
    """

    def __init__(self, app: ASGIApp, keys: Keys | None, rate_limits: RateLimits | None) -> None:
        """Wrap `app`. Without `keys`, everyone may enter; without `rate_limits`, at any rate."""
        self.app = app
        self.keys = keys
        self.rate_limits = rate_limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] != UPLOAD_PATH:
            refusal = await self.refusal(scope)
            if refusal:
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def refusal(self, scope: Scope) -> Response | None:
        log: RequestLog = scope["state"]["log"]
        if self.keys:
            log.caller = self.keys.name_of(Headers(scope=scope).get(KEY_HEADER, ""))
            if not log.caller:
                return problem_response(ProblemError(ProblemCode.FORBIDDEN), log, ASK_FOR_KEY)
        if self.rate_limits:
            address, _ = scope.get("client") or ("", 0)
            seconds = await self.rate_limits.seconds_to_wait(log.caller, address)
            if seconds:
                detail = f"Too many requests. Please try again in {seconds} s."
                error = ProblemError(ProblemCode.TOO_MANY_REQUESTS, detail)
                return problem_response(error, log, {"Retry-After": str(seconds)})
        return None


def access(app: ASGIApp, settings: LocalSettings, logger: Logger) -> ASGIApp:
    """Return `app` behind the API keys and rate limits of the settings, if there are any."""
    keys = Keys(settings.api_keys) if settings.api_keys else None
    if settings.rate_limit_per_address == OFF and (not keys or settings.rate_limit_per_key == OFF):
        return AccessMiddleware(app, keys, None) if keys else app
    # Not at the top of the file: the libraries take 80 ms, and most runs have no limits.
    from local_server.rate_limits import RateLimits  # noqa: PLC0415

    return AccessMiddleware(app, keys, RateLimits(settings, logger, keys=bool(keys)))
