"""What comes through CloudFront: whose address a request has, and whether it may come any other way."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from contract.problems import ProblemCode, ProblemError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

# The distribution sends it with a secret, and replaces what a viewer sends under this name.
SECRET_HEADER = "x-origin-secret"  # noqa: S105 - a name
# The health of the service, and the way to the page.
OPEN = {"/", "/health", "/health/ready"}


class CloudFrontMiddleware:
    """Gives a request that comes through CloudFront its viewer's address, and refuses others where that is wanted."""

    def __init__(self, app: ASGIApp, secret: str, *, direct_access: bool) -> None:
        """Serve requests that come without the secret only with `direct_access`.

        While the secret changes, `secret` has two with a comma between.
        """
        self.app = app
        self.secrets = [each.encode() for each in secret.split(",") if each]
        self.direct_access = direct_access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.check(scope, Headers(scope=scope))
        await self.app(scope, receive, send)

    def check(self, scope: Scope, headers: Headers) -> None:
        sent = headers.get(SECRET_HEADER, "").encode("latin-1")
        if any(compare_digest(sent, secret) for secret in self.secrets):
            scope["client"] = (viewer(headers, scope["client"][0]), 0)
        elif not self.direct_access and scope["path"] not in OPEN:
            raise ProblemError(ProblemCode.FORBIDDEN, "This service is reached through its page's address only.")


def viewer(headers: Headers, cloudfronts: str) -> str:
    """Return the address of the viewer of a request that CloudFront sent.

    CloudFront adds it at the end of X-Forwarded-For, whatever the viewer has written there, and then API Gateway adds
    CloudFront's own.
    """
    chain = [part.strip() for line in headers.getlist("x-forwarded-for") for part in line.split(",") if part.strip()]
    if chain and chain[-1] == cloudfronts:
        chain.pop()
    return chain[-1] if chain else cloudfronts
