"""The page of the local run: its files from the repository, each at a path of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from gateway.http.security import page_policy

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI
    from starlette.responses import Response
    from starlette.types import Scope


def add_page(app: FastAPI, folder: Path, upload_origin: str) -> None:
    """Serve the files in `folder`, with index.html at the root. upload_origin: where the page may upload, or ""."""
    # A route for each file: files that are mounted at the root would also answer for paths and methods of the API.
    files = GZipMiddleware(PageFiles(folder, page_policy(upload_origin)), minimum_size=1)
    paths = {f"/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*") if path.is_file()}
    paths = paths - {"/index.html"} | {"/"}
    app.router.routes.extend(Route(path, files, methods=["GET"], include_in_schema=False) for path in paths)


class PageFiles(StaticFiles):
    """The files of the page. A browser asks each time whether they have changed."""

    def __init__(self, folder: Path, policy: str) -> None:
        super().__init__(directory=folder, html=True)
        self.policy = policy

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        if scope["path"] == "/":
            response.headers["Content-Security-Policy"] = self.policy
        return response
