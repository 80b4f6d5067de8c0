"""A measuring process, as the broker sees it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, Protocol, Self

from image_intensity.slots import ending
from local_server.measuring.child import LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_server.storage import Storage

# As on Lambda: see docs/decisions/start-and-memory.md.
KEEP_MEMORY = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "33554432")
VARIABLES = {
    # There is a process for each core. NumPy and the decoders would start a thread for each core, too.
    **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1"),
    **KEEP_MEMORY,
}

# What a process measures: images of any size, small ones only, or jobs only.
Kind = Literal["any", "small", "job"]

# A process that has closed its pipe ends within a moment. Its memory has to be freed first.
EXIT_SECONDS = 2


class ProcessError(Exception):
    """The process does not start, has ended, or failed at an image. The message says why, for the log."""


class Start(Protocol):
    """Starts a program, as `asyncio.create_subprocess_exec` does."""

    async def __call__(
        self, *command: str, variables: Mapping[str, str], pass_fds: tuple[int, ...]
    ) -> asyncio.subprocess.Process:
        """Start `command` with these environment variables and open files. Raises OSError."""


async def start(*command: str, variables: Mapping[str, str], pass_fds: tuple[int, ...]) -> asyncio.subprocess.Process:
    """Start a program in a session of its own, so that Ctrl+C does not reach it: there are images to finish."""
    return await asyncio.create_subprocess_exec(
        *command, env=variables, stdin=asyncio.subprocess.DEVNULL, pass_fds=pass_fds, start_new_session=True
    )


class Process:
    """A process that measures one image at a time.

    kind: what it measures. measured: how many images so far. killed: whether it was told to
    end. ended: the task that is done when it has ended.
    """

    def __init__(self, started: asyncio.subprocess.Process, pipe: socket.socket, kind: Kind) -> None:
        """Take a process that was started, and our end of the pipe to it."""
        self.started, self.pipe, self.kind = started, pipe, kind
        self.measured, self.killed = 0, False
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.ended = asyncio.create_task(self._listen())

    @classmethod
    async def run(cls, start: Start, kind: Kind) -> Self:
        """Start a process. Raises ProcessError if that is not possible."""
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-m", "local_server.measuring.child", str(number)]
            starting = asyncio.ensure_future(start(*command, variables=VARIABLES | os.environ, pass_fds=(number,)))
            try:
                started = await asyncio.shield(starting)
            except OSError as error:
                ours.close()
                raise ProcessError(error.strerror or str(error)) from error
            except asyncio.CancelledError:
                # A start cannot be taken back.
                with suppress(OSError):
                    await cls(await starting, ours, kind).end()
                ours.close()
                raise
        return cls(started, ours, kind)

    async def prepare(self, seconds: float, storage: Storage | None, job_bytes: int | None = None) -> None:
        """Wait until the process is ready to measure, each image for `seconds`. Raises ProcessError.

        job_bytes: memory for the file and the pixels of a job; None for a process that measures no jobs.
        """
        place = [storage.port, storage.secret] if storage else None
        self.tell(json.dumps({"seconds": seconds, "storage": place, "job_bytes": job_bytes}))
        kind, content = await self.hear()
        if kind == "failure":
            raise ProcessError(json.loads(content))

    async def hear(self) -> tuple[str, bytes]:
        """Return the next message of the process: its kind, and its content in JSON. Raises ProcessError."""
        line = await self.messages.get()
        if not line:
            raise ProcessError(ending(await self.end()))
        kind, _, content = line.partition(b" ")
        return kind.decode(), content

    def tell(self, message: str | bytes, *connection: int) -> None:
        """Send a message in JSON, and perhaps a connection, to the process. If it has ended, `hear` says so."""
        # It reads whatever is sent before the next message is, and so all of this fits into the pipe.
        with suppress(OSError):
            socket.send_fds(self.pipe, [message.encode() if isinstance(message, str) else message], connection)

    def kill(self) -> None:
        """End the process at once. It gets no more images."""
        self.killed = True
        if self.started.returncode is None:
            # Not `started.kill()`: it may take the exit status, and asyncio then warns that it is lost.
            with suppress(ProcessLookupError):
                os.kill(self.started.pid, signal.SIGKILL)

    async def end(self) -> int:
        """Return the exit code of the process when it has ended. It is ended, unless it has closed its pipe already.

        A task that is cancelled meanwhile still waits for that: otherwise nobody would.
        """
        ending = asyncio.ensure_future(self._end())
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait({ending})
            raise

    async def _end(self) -> int:
        if not self.ended.done():
            self.kill()
        await asyncio.wait({self.ended})
        self.killed = True
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                await self.started.wait()
        except TimeoutError:
            self.kill()
        self.pipe.close()
        return await self.started.wait()

    async def _listen(self) -> None:
        """Receive what the process sends, until it has ended."""
        loop, received = asyncio.get_running_loop(), b""
        with suppress(OSError):
            while piece := await loop.sock_recv(self.pipe, LINE_BYTES):
                *lines, received = (received + piece).split(b"\n")
                for line in lines:
                    self.messages.put_nowait(line)
        self.messages.put_nowait(b"")
