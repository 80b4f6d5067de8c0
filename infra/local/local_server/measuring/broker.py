"""The broker: where the HTTP workers' requests for measurements arrive. It runs in the parent process of `make run`."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from local_server.measuring import request
from local_server.measuring.caller import GoneError
from local_server.measuring.pool import Pool
from local_server.measuring.process import start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from aws_lambda_powertools import Logger

    from local_server.measuring.process import Start
    from local_server.settings import LocalSettings
    from local_server.storage import Storage

# A connection that the kernel cannot keep until it is accepted is an error for the worker. So it may keep many.
BACKLOG = 4096
# After an error of `accept`, for example because there are too many open files.
PAUSE_SECONDS = 0.1


class Answering(Protocol):
    """What answers requests: measuring processes, or turns for emulators."""

    async def answer(self, request: bytes, connection: socket.socket, /) -> bytes:
        """Return the answer to a request, a line of JSON; nothing if the worker has its answer already.

        Raises GoneError or OSError if the worker has given up.
        """

    def renew(self) -> None:
        """Use the code as it is now for further requests."""


class Broker(NamedTuple):
    """A broker that answers at the socket `path`. renew: to be called when the code has changed."""

    path: Path
    renew: Callable[[], None]


@asynccontextmanager
async def broker(
    settings: LocalSettings, storage: Storage | None, logger: Logger, folder: Path, start: Start = start
) -> AsyncIterator[Broker]:
    """Serve requests for measurements until the block ends, at a socket in `folder`.

    storage: where uploaded images are, if that is MiniStack. start: starts the measuring processes.
    """
    if settings.processor_endpoints:
        # Not at the top of the file: it loads the server and the framework, which the parent does not need.
        from local_server.emulators import turns  # noqa: PLC0415

        async with listening(turns(settings), folder) as running:
            yield running
    else:
        async with Pool(logger, storage, start) as pool, listening(pool, folder) as running:
            yield running


@asynccontextmanager
async def listening(answering: Answering, folder: Path) -> AsyncIterator[Broker]:
    """Have `answering` answer requests until the block ends."""
    path = folder / "broker"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(0)
        listener.bind(str(path))
        listener.listen(BACKLOG)
        accepting = asyncio.create_task(accept(answering, listener))
        try:
            yield Broker(path, answering.renew)
        finally:
            path.unlink()
            accepting.cancel()
            await asyncio.wait({accepting})


async def accept(answering: Answering, listener: socket.socket) -> None:
    """Answer each connection in a task of its own."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            task = tasks.create_task(serve(answering, connection))
            # Also if it is cancelled before it has begun.
            task.add_done_callback(partial(close, connection))


async def serve(answering: Answering, connection: socket.socket) -> None:
    """Answer one request."""
    with suppress(GoneError, EOFError, OSError):
        answer = await answering.answer(await request.read(connection), connection)
        await asyncio.get_running_loop().sock_sendall(connection, answer)


def close(connection: socket.socket, _task: asyncio.Task[None]) -> None:
    """Close a connection whose request is done."""
    connection.close()
