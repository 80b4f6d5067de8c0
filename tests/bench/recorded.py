"""A server that gives the page one recorded answer for every image: `python -m tests.bench.recorded ANSWER.json`.

It measures nothing, so nearly all processor time is the browser's. It answers each image after DELAY_MS, as the service
does with one core for itself. It serves the page from `static_site`, and prints where, once it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.requests import Request

DELAY_MS = 10
PAGE = Path(__file__).parents[2] / "static_site"


def application(answer: bytes) -> Starlette:
    """Page, limits and the answer."""

    async def health(_: Request) -> Response:
        return JSONResponse({"limits": {"max_content_length": 5_000_000, "max_image_pixels": 64_000_000}})

    async def intensity(request: Request) -> Response:
        await request.body()
        await asyncio.sleep(DELAY_MS / 1000)
        return Response(answer, media_type="application/json", headers={"X-Cache": "miss"})

    page = StaticFiles(directory=PAGE, html=True)
    return Starlette(
        routes=[Route("/health", health), Route("/intensity", intensity, methods=["POST"]), Mount("/", page)]
    )


def main() -> None:
    """Serve until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - for who started it
    application_ = application(Path(sys.argv[1]).read_bytes())
    uvicorn.Server(uvicorn.Config(application_, log_level="warning")).run([listener])


if __name__ == "__main__":
    main()
