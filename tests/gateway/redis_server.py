"""A real Redis on a port of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import redis

from tests.support import executable, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class RedisServer:
    """A `redis-server` or `valkey-server` that can be stopped, frozen and started again at the same address."""

    def __init__(self, folder: Path, *options: str, client: dict[str, Any] | None = None) -> None:
        """Prepare it. `client` has further options for connecting to it."""
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.address = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.port)}
        program = executable("redis-server", "valkey-server")
        listening = [] if "--tls-port" in options else ["--port", str(self.port)]
        common = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
        self.command = [program, *listening, *common, *(option.replace("PORT", str(self.port)) for option in options)]
        self.client_options: dict[str, Any] = {"host": "127.0.0.1", "port": self.port, **(client or {})}

    def connect(self) -> redis.Redis:
        return redis.Redis(**self.client_options)

    def own_all_slots(self) -> None:
        """Make it a cluster of one node, and wait until that works."""
        with self.connect() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")).replace("': '", ":"):
                time.sleep(0.05)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(redis.ConnectionError), self.connect() as client:
                client.ping()
                return
            assert self.process.poll() is None, "it did not start"
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, frozen or not."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop it, but leave its sockets open: the kernel still accepts connections for it."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def redis_server(folder: Path, *options: str, **arguments: Any) -> Iterator[RedisServer]:  # noqa: ANN401 - RedisServer's
    """Run one for the length of a test."""
    server = RedisServer(folder, *options, **arguments)
    try:
        server.start()
        yield server
    finally:
        server.stop()
