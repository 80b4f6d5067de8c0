"""The page of the local run: its files from the repository, each at a path of its own."""

from __future__ import annotations

import mimetypes
from functools import lru_cache
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response  # noqa: TC002 - FastAPI reads the types of a route

from gateway.http.documents import Document
from gateway.http.security import page_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send


def add_page(app: FastAPI, folder: Path, upload_origin: Callable[[], str]) -> None:
    """Serve the files in `folder`, with index.html at the root. The page may upload to the origin, which may be ""."""
    # One route for each file: files that are mounted at the root would also answer for paths and methods of the API.
    files = {f"/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}
    index = files.pop("/index.html")
    app.add_api_route("/", file_route(index, lambda: page_policy(upload_origin())), include_in_schema=False)
    for path, file in files.items():
        app.add_api_route(path, file_route(file, str), include_in_schema=False)
    app.add_middleware(OwnOrigin, paths={"/", *files})


class OwnOrigin:
    """Keeps the API's CORS headers from the files of the page, which are for the page alone.

    CloudFront and nginx send none either. A browser asks for each module with an Origin: 140 bytes for each.
    """

    def __init__(self, app: ASGIApp, paths: set[str]) -> None:
        """`paths` are those of the files."""
        self.app = app
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hide from the API's layers that the browser asks for a module with an Origin."""
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and scope["path"] in self.paths:
            scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"origin"]}
        await self.app(scope, receive, send)


def file_route(file: Path, policy: Callable[[], str]) -> Callable[[Request], Response]:
    """Return a route that answers with the present content of `file`. It calls `policy` when it is first asked."""
    media_type = mimetypes.guess_type(file.name)[0] or "text/plain"

    @lru_cache(maxsize=1)
    def document(_changed: int) -> Document:
        return Document(file.read_bytes(), media_type, policy())

    def route(request: Request) -> Response:
        return document(file.stat().st_mtime_ns).answer(request)

    return route
