"""`/docs` for people, which is Swagger UI, and `/openapi.json` for programs.

FastAPI's own page loads its script from the servers of another company, and has a script in the page, which a strict
Content-Security-Policy forbids. All addresses in this one are relative, so that it works under the stage of an API.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from gateway.http.security import DOCS_POLICY

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

PAGE = Path(__file__).with_name("docs.html")


def add_documentation(app: FastAPI) -> None:
    # The second package has no other use: it brings the files of Swagger UI.
    files = StaticFiles(packages=[("gateway", "static"), ("fastapi_offline", "static")])

    @cache
    def description() -> bytes:
        return json.dumps(app.openapi()).encode()

    def answer(request: Request, content: bytes, media_type: str, policy: str = "") -> Response:
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
        headers |= {"Content-Security-Policy": policy} if policy else {}
        response = Response(content, headers=headers, media_type=media_type)
        known = files.is_not_modified(response.headers, request.headers)
        return NotModifiedResponse(response.headers) if known else response

    # Not async: Starlette runs them in threads, because making the description takes a while.
    def page(request: Request) -> Response:
        return answer(request, PAGE.read_bytes(), "text/html", DOCS_POLICY)

    def openapi(request: Request) -> Response:
        return answer(request, description(), "application/json")

    compressed = [Middleware(GZipMiddleware, minimum_size=0)]
    app.router.routes += [
        Route("/docs", page, middleware=compressed),
        Route("/openapi.json", openapi, middleware=compressed),
        Mount("/docs", files, middleware=compressed),
    ]
