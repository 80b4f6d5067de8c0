"""How workers share new connections: two of them at one socket, and a run."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from local_server.accepting import Acceptor, Shares
from tests.server import running_server

if TYPE_CHECKING:
    import pytest

CONNECTIONS = 8
PATIENCE = 30


class Worker(asyncio.Protocol):
    """One that counts its connections."""

    def __init__(self, listener: socket.socket, shares: Shares) -> None:
        self.shares, self.connections = shares, 0
        self.acceptor = Acceptor(listener, lambda: self, shares)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.connections += 1
        self.shares.tell(self.connections)
        transport.write(b"hello")


async def connect(stack: ExitStack, listener: socket.socket) -> None:
    """Open a connection and wait until somebody has taken it."""
    client = stack.enter_context(socket.create_connection(listener.getsockname()))
    client.settimeout(0)
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.get_running_loop().sock_recv(client, 10) == b"hello"


async def both_take(folder: Path, *, one_is_busy: bool) -> list[int]:
    """How many of the connections each of two workers takes; one may be too busy to take any."""
    with ExitStack() as stack:
        file = stack.enter_context(Shares.make(folder, 2))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        workers = [Worker(stack.enter_context(listener.dup()), Shares(file, number)) for number in (0, 1)]
        if one_is_busy:
            workers[1].acceptor.close()
        for _ in range(CONNECTIONS):
            await connect(stack, listener)
        for worker in workers:
            worker.acceptor.close()
        return [worker.connections for worker in workers]


def test_the_worker_with_the_fewest_connections_takes_the_next(tmp_path: Path) -> None:
    assert asyncio.run(both_take(tmp_path, one_is_busy=False)) == [CONNECTIONS // 2, CONNECTIONS // 2]


def test_a_connection_does_not_wait_for_a_busy_worker(tmp_path: Path) -> None:
    assert asyncio.run(both_take(tmp_path, one_is_busy=True)) == [CONNECTIONS, 0]


def test_connections_wait_while_there_is_no_open_file_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_server.accepting.NO_FILES_SECONDS", 0.05)

    async def taken() -> list[int]:
        counts = []
        with ExitStack() as stack:
            file = stack.enter_context(Shares.make(tmp_path, 1))
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            worker = Worker(listener, Shares(file, 0))
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
            try:
                await asyncio.sleep(0.2)
                counts.append(worker.connections)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            client.settimeout(0)
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_recv(client, 10)
            worker.acceptor.close()
            counts.append(worker.connections)
        return counts

    assert asyncio.run(taken()) == [0, 1]


def sockets(process: int) -> int:
    """How many sockets a process has."""
    return sum(str(file.readlink()).startswith("socket:") for file in Path(f"/proc/{process}/fd").iterdir())


def test_the_workers_of_a_run_share_the_connections_of_one_client() -> None:
    with running_server(WORKERS="2") as server, ExitStack() as stack:
        workers = server.processes("local_server.worker")
        before = [sockets(worker) for worker in workers]
        for _ in range(CONNECTIONS):
            client = stack.enter_context(httpx.Client(timeout=PATIENCE))
            assert client.get(f"{server.address}/health").status_code == 200
        taken = [sockets(worker) - earlier for worker, earlier in zip(workers, before, strict=True)]
        # One may be a socket of its own, such as that to the broker.
        assert min(taken) > 1
