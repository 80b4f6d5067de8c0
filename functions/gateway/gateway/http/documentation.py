"""`/docs` for people, which is Swagger UI, and `/openapi.json` for programs.

FastAPI's own page loads its script from the servers of another company, and has a script in the page, which a strict
Content-Security-Policy forbids. All addresses in this one are relative, so that it works under the stage of an API.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response  # noqa: TC002 - FastAPI reads the types of a route

from gateway.http.documents import Document
from gateway.http.security import DOCS_POLICY

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Image Intensity Service: API</title>
  <link rel="icon" href="favicon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="docs/swagger-ui-bundle.js"></script>
  <script src="docs/start.js"></script>
</body>
</html>
"""
START = """\
SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true});
"""


def add_documentation(app: FastAPI) -> None:
    """Add the routes. What they answer is made when somebody first asks for it."""
    documents: dict[str, Callable[[], Document]] = {
        "/openapi.json": lambda: Document(json.dumps(app.openapi()).encode(), "application/json"),
        "/docs": lambda: Document(PAGE.encode(), "text/html", DOCS_POLICY),
        "/docs/start.js": lambda: Document(START.encode(), "text/javascript"),
        "/docs/swagger-ui-bundle.js": lambda: Document(swagger_ui("swagger-ui-bundle.js"), "text/javascript"),
        "/docs/swagger-ui.css": lambda: Document(swagger_ui("swagger-ui.css"), "text/css"),
    }
    for path, make in documents.items():
        app.add_api_route(path, document_route(cache(make)), include_in_schema=False)


def document_route(make: Callable[[], Document]) -> Callable[[Request], Response]:
    """Return a route that answers with the document that `make` returns."""

    # Not async: FastAPI runs it in a thread, because reading and compressing take a while the first time.
    def route(request: Request) -> Response:
        return make().answer(request)

    return route


def swagger_ui(name: str) -> bytes:
    """Return a file of Swagger UI. The package has no other use: it brings the files."""
    return files("fastapi_offline").joinpath("static", name).read_bytes()
