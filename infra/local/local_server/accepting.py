"""How the HTTP workers of a run share new connections: the one that has the fewest takes the next.

All of them wait at one socket. Left alone, a new connection goes to whichever worker is first. A client that opens
eight and keeps them would often have all of them with one worker, while the other cores have nothing to do.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from mmap import mmap
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

COUNT_BYTES = 4
# So many connections may wait until a worker takes them; the kernel may allow fewer. uvicorn's number.
BACKLOG = 2048
# How long a worker leaves a connection to those that have fewer, and how long it waits when it has no open file left.
MOMENT_SECONDS = 0.002
NO_FILES_SECONDS = 1


class Shares:
    """How many connections each worker of a run has, in a file that all of them have in memory."""

    def __init__(self, descriptor: int, number: int) -> None:
        """Use the file with this descriptor, which `make` has made. number: of this worker, from 0."""
        self.counts = memoryview(mmap(descriptor, 0)).cast("I")
        self.number = number
        self.tell(0)

    @staticmethod
    @contextmanager
    def make(folder: Path, workers: int) -> Iterator[int]:
        """Give the descriptor of the file for so many workers, which inherit it.

        The file has no name in `folder`: a program that cleans there could remove it, and no worker could start again.
        """
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(COUNT_BYTES * workers))
            file.flush()
            yield file.fileno()

    def tell(self, connections: int) -> None:
        """Tell the others how many connections this worker has."""
        self.counts[self.number] = connections

    def has_most(self) -> bool:
        """Return whether another worker has fewer connections than this one."""
        return self.counts[self.number] > min(self.counts)


class Acceptor:
    """Takes connections from a socket at which other workers wait, too."""

    def __init__(self, listener: socket.socket, connected: Callable[[], asyncio.Protocol], shares: Shares) -> None:
        """Give each connection that is taken a protocol that `connected` returns."""
        self.listener, self.connected, self.shares = listener, connected, shares
        self.loop = asyncio.get_running_loop()
        # asyncio itself would not keep them.
        self.connecting: set[asyncio.Task[object]] = set()
        self.timer: asyncio.TimerHandle | None = None
        listener.setblocking(False)  # noqa: FBT003 - the standard library's only way
        listener.listen(BACKLOG)
        self.loop.add_reader(listener, self.look)

    def look(self) -> None:
        """Take a connection, or leave it for a moment to a worker that has fewer."""
        if self.shares.has_most():
            self.pause(MOMENT_SECONDS)
        else:
            self.take()

    def pause(self, seconds: float) -> None:
        """Take no connection for so long."""
        self.loop.remove_reader(self.listener)
        self.timer = self.loop.call_later(seconds, self.go_on)

    def go_on(self) -> None:
        """Take a connection that is still there: the others are busy, or there is none with fewer any more."""
        self.loop.add_reader(self.listener, self.look)
        self.take()

    def take(self) -> None:
        """Take a connection, if no other worker was faster."""
        try:
            connection, _ = self.listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self.pause(NO_FILES_SECONDS)
            return
        connection.setblocking(False)  # noqa: FBT003 - as above
        task = self.loop.create_task(self.loop.connect_accepted_socket(self.connected, connection))
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)

    def close(self) -> None:
        """Take no more connections."""
        self.loop.remove_reader(self.listener)
        if self.timer:
            self.timer.cancel()
