"""API Gateway's REST API events to ASGI and back: Mangum, with a faster base64 and without errors for odd requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.handlers import APIGateway
from pybase64 import b64decode

from gateway.http.file import printable
from gateway.http.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from mangum.types import ASGI, LambdaConfig, LambdaContext, LambdaEvent

# Mangum makes the address of the server of the first two, which is not used here, and raises if they are odd. An answer
# in gzip would leave API Gateway as base64; CloudFront compresses.
DROPPED = {"host", "x-forwarded-port", "accept-encoding"}
QUERY = ("queryStringParameters", "multiValueQueryStringParameters")


class RestApi(APIGateway):
    """An event of a REST API. It raises nothing: the application answers what is wrong with a request."""

    def __init__(self, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> None:
        headers = {
            name: {header: value for header, value in (event.get(name) or {}).items() if header.lower() not in DROPPED}
            for name in ("headers", "multiValueHeaders")
        }
        asked = {name: event.get(name) for name in QUERY}
        about = event.get("requestContext") or {}
        # Where nobody is known, this may be null.
        about = {"requestContext": {**about, "identity": about.get("identity") or {}}}
        path = without_base_path(event)
        super().__init__(event | readable({**headers, **asked, **about, "path": path}), context, config)

    @property
    def body(self) -> bytes:
        """The body. If it should be base64 and is not, it is empty, as if the client had sent nothing."""
        body: str = self.event.get("body") or ""
        if not self.event.get("isBase64Encoded"):
            return body.encode(errors="replace")
        try:
            # Mangum uses the standard library's, which takes longer than the rest of the request.
            return b64decode(body, validate=True)
        except ValueError:
            return b""


def without_base_path(event: LambdaEvent) -> str:
    """Return the path of a request as the API has it.

    At a custom domain with a base path, API Gateway sends that path, too. The resource says where the API's begins.
    """
    path: str = event["path"]
    own: str = event["resource"]
    if own == "/{proxy+}":
        own = "/" + (event.get("pathParameters") or {}).get("proxy", path)
    return own if own == "/" or path.endswith(own) else path


def readable(value: Any) -> Any:  # noqa: ANN401 - any part of an event
    """Return a part of an event without halves of characters, which JSON can carry and UTF-8 cannot."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {readable(name): readable(each) for name, each in value.items()}
    return [readable(each) for each in value] if isinstance(value, list) else value


def lead_to_page(app: FastAPI) -> None:
    """Redirect `/` to the page.

    The address of the page is a variable of the API's stage, which `make deploy` sets. It cannot be a setting in the
    template: the page's distribution needs the API, so the API cannot need the distribution.
    """

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> RedirectResponse:
        variables = request.scope["aws.event"].get("stageVariables") or {}
        if "page" not in variables:
            raise HTTPException(404)
        return RedirectResponse(variables["page"])


def adapt(app: ASGI) -> Callable[[Any, Any], dict[str, Any] | None]:
    # Mangum would encode problems in base64 if their media type were not in this list.
    text = [*DEFAULT_TEXT_MIME_TYPES, MEDIA_TYPE]
    serve = Mangum(app, lifespan="off", custom_handlers=[RestApi], text_mime_types=text)

    def handle(event: Any, context: Any) -> dict[str, Any] | None:  # noqa: ANN401 - Lambda's
        # Else it is a ping that keeps the function warm, or an event of EventBridge.
        return serve(event, context) if isinstance(event, dict) and "requestContext" in event else None

    return handle
