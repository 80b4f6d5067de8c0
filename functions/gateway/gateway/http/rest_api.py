"""API Gateway's REST API events to ASGI and back: Mangum, with a faster base64, and proof against odd requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.handlers import APIGateway
from pybase64 import b64decode

from gateway.http.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from fastapi import FastAPI
    from mangum.types import ASGI, LambdaConfig, LambdaContext, LambdaEvent

# Mangum makes the server's address of them, which nobody here asks for, and raises where they are none to it.
ADDRESS = {"host", "x-forwarded-port"}


class RestApi(APIGateway):
    """An event of a REST API; what is wrong with it is for the application to answer, as an exception is no answer."""

    def __init__(self, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> None:
        """Adapt `event`."""
        headers = {
            name: {header: value for header, value in (event.get(name) or {}).items() if header.lower() not in ADDRESS}
            for name in ("headers", "multiValueHeaders")
        }
        super().__init__(event | headers, context, config)

    @property
    def body(self) -> bytes:
        """The body; of one that is said to be base64 and is not, nothing: as if it had been cut off at its start."""
        body: str = self.event.get("body") or ""
        if not self.event.get("isBase64Encoded"):
            return body.encode(errors="replace")
        try:
            # The standard library's, which Mangum uses, takes longer than all the rest of a request.
            return b64decode(body, validate=True)
        except ValueError:
            return b""


def lead_to_page(app: FastAPI) -> None:
    """Have `/` lead to the page.

    Its address is a variable of the API's stage: `make deploy` sets it, as the template cannot name in the gateway what
    comes from a distribution that needs the gateway's own API.
    """

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> RedirectResponse:
        variables = request.scope["aws.event"].get("stageVariables") or {}
        if "page" not in variables:
            raise HTTPException(404)
        return RedirectResponse(variables["page"])


def adapt(app: ASGI) -> Mangum:
    """Return the Lambda handler that serves `app`."""
    # Without its media type here, Mangum would hand problems to API Gateway in base64.
    text = [*DEFAULT_TEXT_MIME_TYPES, MEDIA_TYPE]
    return Mangum(app, lifespan="off", custom_handlers=[RestApi], text_mime_types=text)
