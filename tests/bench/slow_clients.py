"""What one client notices while others are slow, greedy or send huge images to `make run`.

`python -m tests.bench.slow_clients [CODE]` starts the server of this working copy, or of the one in the folder CODE,
anew for each kind of load. It prints how long `GET /health` and a small `POST /intensity` take meanwhile (each
on a new connection, the image another one each time, so that it is measured), and the memory of all its processes at
the worst moment. ONLY="slow heads" takes one kind of load, SECONDS=5 another duration.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import sys
import threading
import time
import zlib
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.server import Server, starting_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECONDS = float(os.environ.get("SECONDS", "15"))
# A probe that has no answer by then counts as this long, and as failed.
PROBE_SECONDS = 30
ROOTS = ("core", "functions/gateway", "functions/processor", "infra/local", "layers/contract")
FORM_HEAD = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
FORM_END = b"\r\n--b--\r\n"


def head(length: int) -> bytes:
    """The head of a request to measure an image, in a form of `length` bytes."""
    lines = ["POST /intensity HTTP/1.1", "Host: localhost", "Content-Type: multipart/form-data; boundary=b"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def chunk(kind: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int) -> bytes:
    """A PNG of colors, without its last chunk. It is a pattern, so that large ones are only some hundred KB."""
    row = b"\0" + (np.arange(width * 3) % 251).astype(np.uint8).tobytes()
    compress = zlib.compressobj(6)
    data = b"".join([compress.compress(row) for _ in range(height)]) + compress.flush()
    header = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data)


def another(image: bytes) -> bytes:
    """A form with an image that no cache knows: it has a comment of its own."""
    return (
        FORM_HEAD + image + chunk(b"tEXt", b"Comment\0" + os.urandom(8).hex().encode()) + chunk(b"IEND", b"") + FORM_END
    )


async def dribble(port: int, begin: bytes) -> None:
    """Send some bytes at once, then one byte a second. An empty beginning: never send anything."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(begin)
        while True:
            await asyncio.sleep(1)
            if begin:
                writer.write(b"x")
                await writer.drain()
            if writer.transport.is_closing():
                return
    finally:
        writer.close()


async def stay(port: int, begin: bytes) -> None:
    """Send some bytes, read what comes, and wait until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(begin)
        while await reader.read(65_536):
            pass
    finally:
        writer.close()


class Load(NamedTuple):
    """Clients that do the same again and again, each a second after it was let go.

    client: what each does, with the port and `content`. files: the limit on open files of the server.
    """

    name: str
    clients: int
    client: Callable[[int, bytes], Awaitable[None]]
    content: Callable[[], bytes]
    files: int | None = None


def upload(image: bytes) -> bytes:
    form = another(image)
    return head(len(form)) + form


LOADS = [
    Load("nothing else", 0, stay, bytes),
    Load("500 slow heads", 500, dribble, lambda: b"GET /health HTTP/1.1\r\nX-Slow: "),
    Load("500 bodies, 1 byte a second", 500, dribble, lambda: head(1_000_000) + FORM_HEAD),
    Load("300 idle connections", 300, stay, lambda: b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    Load("80 stalled uploads of 5 MB", 80, stay, lambda: head(5_000_000) + FORM_HEAD + bytes(4_900_000)),
    Load("eight images of 64 MP", 8, stay, lambda: png(8000, 8000)),
    Load("one PNG of 200 MP", 1, stay, lambda: png(20_000, 10_000)),
    Load(
        "300 idle connections, `ulimit -n 64`",
        300,
        stay,
        lambda: b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        64,
    ),
    Load("500 slow heads, `ulimit -n 64`", 500, dribble, lambda: b"GET /health HTTP/1.1\r\nX-Slow: ", 64),
]


def run_load(load: Load, port: int, content: bytes) -> None:
    """Run the clients until this process is ended."""

    async def again(number: int) -> None:
        await asyncio.sleep(number * 0.002)
        while True:
            begin = upload(content) if content.startswith(b"\x89PNG") else content
            with suppress(OSError):
                await load.client(port, begin)
            await asyncio.sleep(1)

    async def all_of_them() -> None:
        await asyncio.gather(*map(again, range(load.clients)))

    asyncio.run(all_of_them())


class Probe(threading.Thread):
    """Asks the same again and again, and notes how long each answer takes (seconds)."""

    def __init__(self, port: int, method: str, path: str, body: Callable[[], bytes | None], every: float) -> None:
        super().__init__(daemon=True)
        self.port, self.method, self.path, self.body, self.every = port, method, path, body, every
        self.times: list[float] = []
        self.failures = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(self.every):
            begun = time.perf_counter()
            self.failures += not self.ask()
            self.times.append(time.perf_counter() - begun)

    def ask(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PROBE_SECONDS)
        try:
            body = self.body()
            connection.request(
                self.method, self.path, body, {"Content-Type": "multipart/form-data; boundary=b"} if body else {}
            )
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
        return answer.status == 200

    def cells(self) -> list[str]:
        """The median, the 99th percentile and the worst, in ms."""
        ordered = sorted(self.times)
        chosen = [ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]]
        return [f"{seconds * 1000:.0f}" for seconds in chosen]


def memory(process: int) -> int:
    """The memory of a process and of all that it has started (bytes); pages that several share count once."""
    total = 0
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        total = int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    with suppress(OSError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        total += sum(memory(int(child)) for child in children)
    return total


def measure(load: Load, server: Server) -> list[str]:
    """Probe a server under a load; the cells of its row."""
    port = int(server.address.rpartition(":")[2])
    small = png(64, 48)
    probes = [
        Probe(port, "GET", "/health", lambda: None, 0.05),
        Probe(port, "POST", "/intensity", lambda: another(small), 0.1),
    ]
    # Else the first answers would tell how long the start of the processes takes.
    for probe in probes:
        while not probe.ask():
            time.sleep(0.1)
    clients = multiprocessing.Process(target=run_load, args=[load, port, load.content()], daemon=True)
    clients.start()
    for probe in probes:
        probe.start()
    most, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        most = max(most, memory(server.process.pid))
        time.sleep(0.25)
    for probe in probes:
        probe.over.set()
    for probe in probes:
        probe.join()
    clients.kill()
    clients.join()
    failures = sum(probe.failures for probe in probes)
    log = sum(len(server.output(kind)) for kind in ("out", "err"))
    return [*probes[0].cells(), *probes[1].cells(), str(failures), f"{most / 1e6:.0f}", f"{log / 1e6:.1f}"]


def main(code: Path) -> None:
    """Print the table."""
    columns = ["load", *(f"{what}, {kind}" for what in ("`/health`", "`POST`") for kind in ("p50", "p99", "worst"))]
    columns += ["failed", "memory, MB", "log, MB"]
    print("|", " | ".join(columns), "|")  # noqa: T201 - a report
    print("|", " | ".join("---" for _ in columns), "|")  # noqa: T201
    # The clients need a file for each connection.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    roots = os.pathsep.join(str(code / root) for root in ROOTS)
    variables = {"PYTHONPATH": roots, "MAX_IMAGE_PIXELS": "200000000", "WORKERS": ""}
    for load in LOADS:
        if os.environ.get("ONLY", "") not in load.name:
            continue
        with TemporaryDirectory() as folder, starting_server(Path(folder), **variables) as server:
            if load.files:
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (load.files, load.files))
            server.wait_for_address()
            print("|", " | ".join([load.name, *measure(load, server)]), "|", flush=True)  # noqa: T201 - a report


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve())
