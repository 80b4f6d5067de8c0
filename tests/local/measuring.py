"""A broker and its measuring processes in the hands of a test, and images that take them long."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import zlib
from contextlib import asynccontextmanager
from struct import pack
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from contract.invocation import Invocation, StoredImage
from contract.problems import ProblemError
from gateway.log import make_logger
from gateway.settings import Settings
from local_server.measuring.broker import listening
from local_server.measuring.client import BrokerProcessor
from local_server.measuring.pool import Bounds, Pool
from local_server.measuring.process import start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from local_server.measuring.process import Process, Start

SECONDS = 20


class Measuring:
    """What a test works with. log: what was logged so far."""

    def __init__(self, pool: Pool, path: Path, log: io.StringIO) -> None:
        self.pool, self.log = pool, log
        self.path = path
        self.processor = BrokerProcessor(path, pool.logger)

    async def code(self, image: bytes | StoredImage) -> str:
        """`measured`, or the code of the problem that came instead."""
        try:
            await self.processor.measure(invocation(image))
        except ProblemError as problem:
            return problem.code.value
        return "measured"

    def send(self, image: bytes | StoredImage) -> asyncio.Task[str]:
        """Have an image measured meanwhile."""
        return asyncio.create_task(self.code(image))

    async def ready(self) -> None:
        """Wait until all processes are idle."""
        await until(lambda: len(self.pool.idle) == self.pool.bounds.processes + 1)

    @property
    def general(self) -> list[Process]:
        """The processes for images of any size."""
        return [process for process in self.pool.processes if process.kind == "any"]

    def stop(self) -> list[Process]:
        """Stop the processes for images of any size: what they have under way hangs."""
        for process in self.general:
            os.kill(process.started.pid, signal.SIGSTOP)
        return self.general

    def go_on(self) -> None:
        """Let them go on."""
        for process in self.general:
            os.kill(process.started.pid, signal.SIGCONT)


@asynccontextmanager
async def measuring(
    folder: Path,
    *,
    ready: bool = True,
    start: Start = start,
    **bounds: Any,  # noqa: ANN401 - those of the pool
) -> AsyncIterator[Measuring]:
    """Run a broker with one measuring process for images of any size, unless told otherwise, and one for small ones."""
    logger, log = make_logger(Settings.load({})), io.StringIO()
    for handler in logger.handlers:
        assert hasattr(handler, "setStream")
        handler.setStream(log)
    pool = Pool(logger, None, start, Bounds(**{"processes": 1, **bounds}))
    async with pool, listening(pool, folder) as broker:
        running = Measuring(pool, broker.path, log)
        if ready:
            await running.ready()
        yield running


async def until(condition: Callable[[], Any]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.01)


def invocation(image: bytes | StoredImage, max_pixels: int = 200_000_000) -> Invocation:
    return Invocation(image=image, allowed_formats=("PNG", "JPEG"), max_pixels=max_pixels, request_id="the-id")


def picture(size: tuple[int, int] = (64, 48), kind: str = "PNG", seed: int = 1) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))


def black(side: int) -> bytes:
    """A PNG of `side` by `side` black pixels with one bit each: a few kilobytes that are many megapixels."""
    header = pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes((1 + (side + 7) // 8) * side), 9)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
