"""The processor of the local run in the hands of a test, and images that take it long."""

from __future__ import annotations

import asyncio
import io
import os
import zlib
from contextlib import asynccontextmanager
from struct import pack
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from contract.invocation import Invocation, StoredImage
from contract.problems import ProblemError
from gateway.log import make_logger
from gateway.measuring.processor_client import Answer
from gateway.settings import Settings
from local_server.processor import SlotProcessor
from processor.handler import measure_invocation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SECONDS = 20


class Measuring:
    """What a test works with. log: what was logged so far."""

    def __init__(self, processor: SlotProcessor, log: io.StringIO) -> None:
        self.processor, self.log = processor, log

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

    async def process(self) -> int:
        """The process for images of any size, when it is ready."""
        return await asyncio.wrap_future(self.processor.any.submit(os.getpid))


@asynccontextmanager
async def measuring(folder: Path, seconds: float = SECONDS) -> AsyncIterator[Measuring]:
    """The processor of a worker, whose images may take so long."""
    logger, log = make_logger(Settings.load({})), io.StringIO()
    for handler in logger.handlers:
        assert hasattr(handler, "setStream")
        handler.setStream(log)
    processor = SlotProcessor(folder, logger, seconds)
    try:
        yield Measuring(processor, log)
    finally:
        processor.close()


class InProcessProcessor:
    """Measures in the process of the test."""

    async def measure(self, invocation: Invocation) -> Answer:
        return Answer(measure_invocation(invocation))


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
