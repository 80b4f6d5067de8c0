"""How an HTTP worker has an image measured: it sends it to the broker."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from contract.jobs import Progress
from gateway.measuring.processor_client import Answer, failure, read_measurement
from local_server.connection import unless_gone
from local_server.measuring.request import request, written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation

# What a measuring process sends before the answer to a job, as often as it gets further: the step and its share.
PROGRESS = {b"reading", b"measuring"}
# A measurement is 6 KB of JSON. It comes in one piece, or in a few.
PIECE_BYTES = 1 << 16


class BrokerProcessor:
    """Measures with a broker's processes. An image whose client has gone gives up its place in the queue."""

    def __init__(self, path: Path, logger: Logger) -> None:
        """Ask the broker whose socket is at `path`."""
        self.path = str(path)
        self.logger = logger

    async def measure(self, invocation: Invocation) -> Answer:
        """Measure one image. Raises ProblemError: what is wrong with it, or processor_busy, _failed or _timeout.

        Raises ClientDisconnect if the client of the request has gone.
        """
        try:
            answer = await unless_gone(self.ask(invocation))
        except OSError as error:
            raise failure(f"the broker does not answer: {error}", self.logger) from error
        # The process has the same version as this one, so no field can be missing.
        return Answer(read_measurement(answer, invocation.options, self.logger))

    async def measure_job(self, invocation: Invocation, progress: Callable[[Progress], None]) -> Answer:
        """Measure the image of a job, and say how far that is. Raises ProblemError as `measure` does."""
        try:
            answer = await self.ask(invocation, progress)
        except OSError as error:
            raise failure(f"the broker does not answer: {error}", self.logger) from error
        return Answer(read_measurement(answer, invocation.options, self.logger))

    async def ask(self, invocation: Invocation, progress: Callable[[Progress], None] | None = None) -> bytes:
        """Return the broker's answer. progress: for a job. Raises OSError.

        It uses sockets and not streams, because streams copy what they send.
        """
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(0)
            await loop.sock_connect(connection, self.path)
            answer = b""
            # When the image is not wanted any more, the connection is closed, with the answer in it.
            with suppress(ConnectionError):
                await loop.sock_sendall(connection, written(request(invocation, job=progress is not None)))
                if isinstance(invocation.image, bytes):
                    await loop.sock_sendall(connection, invocation.image)
            with suppress(ConnectionError):
                while not answer.endswith(b"\n") and (piece := await loop.sock_recv(connection, PIECE_BYTES)):
                    answer = heard(answer + piece, progress) if progress else answer + piece
            return answer


def heard(received: bytes, progress: Callable[[Progress], None]) -> bytes:
    """Pass on each line of progress that has arrived, and return what is not one."""
    while True:
        line, end, rest = received.partition(b"\n")
        step, _, share = line.partition(b" ")
        if not end or step not in PROGRESS:
            return received
        progress(Progress(step="reading" if step == b"reading" else "measuring", share=float(share)))
        received = rest
