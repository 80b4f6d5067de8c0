"""Who gets which answer when a process of `make run` is killed, and what is left behind.

`python -m tests.bench.killed` runs the service anew for each kind of process. Eight clients send images all the time,
always other ones, so that all are measured. After two seconds, one process of the kind gets SIGKILL. The table says
which answers came from then on, how long it took until there was another process, and what the end of the run left.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.bench.slow_clients import chunk, png
from tests.server import Server, command, starting_server

KINDS = {
    "an HTTP worker": "gunicorn",
    "a measuring process": "multiprocessing.spawn",
    "the parent": "",
}
CLIENTS = 8
SECONDS = 6


class Client(threading.Thread):
    """Sends images one after another, and counts the answers."""

    def __init__(self, address: str, image: bytes) -> None:
        super().__init__(daemon=True)
        self.image = image
        # A connection for each request, so that all workers have some of them.
        self.client = httpx.Client(base_url=address, timeout=30, headers={"Connection": "close"})
        self.answers: Counter[str] = Counter()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.answers[self.send()] += 1

    def send(self) -> str:
        other = self.image + chunk(b"tEXt", b"Comment\0" + os.urandom(8).hex().encode()) + chunk(b"IEND", b"")
        try:
            answer = self.client.post("/intensity", files={"image": ("a.png", other)})
        except httpx.ConnectError:
            time.sleep(0.05)
            return "refused"
        except httpx.TransportError:
            return "broken"
        return "200" if answer.status_code == 200 else f"{answer.status_code} {answer.json()['code']}"


def processor_time(process: int) -> int:
    """How long a process has worked (in ticks)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def kill(server: Server, kind: str) -> tuple[Counter[str], float | None]:
    """Kill a process while clients send; which answers came since, and when there was another process (seconds)."""
    image = png(1200, 900)
    clients = [Client(server.address, image) for _ in range(CLIENTS)]
    while clients[0].send() != "200":
        pass
    for client in clients:
        client.start()
    time.sleep(2)
    before = [client.answers.copy() for client in clients]
    victims = server.processes(kind) if kind else [server.process.pid]
    # The one that has worked most: of the slots, it has an image under way.
    victim = max(victims, key=processor_time)
    os.kill(victim, signal.SIGKILL)
    begun, replaced = time.monotonic(), None
    while time.monotonic() < begun + SECONDS:
        now = server.processes(kind)
        if not replaced and kind and victim not in now and len(now) >= len(victims):
            replaced = time.monotonic() - begun
        time.sleep(0.02)
    for client in clients:
        client.over.set()
    for client in clients:
        client.join()
    since: Counter[str] = sum((client.answers for client in clients), Counter())
    return since - sum(before, Counter()), replaced


def row(name: str, kind: str) -> list[str]:
    """Kill a process of a kind; the cells of its row."""
    with TemporaryDirectory() as out, TemporaryDirectory() as temporary:
        with starting_server(Path(out), TMPDIR=temporary) as server:
            server.wait_for_address()
            processes = server.processes()
            answers, replaced = kill(server, kind)
            processes += server.processes()
            with suppress(ProcessLookupError):
                server.interrupt()
        left = sum(bool(command(process)) for process in processes)
        folders = len(list(Path(temporary).iterdir()))
    told = ", ".join(f"{count} {answer}" for answer, count in answers.most_common())
    return [name, told, f"{replaced:.1f} s" if replaced else "", f"{left} processes, {folders} folders"]


def main() -> None:
    """Print the table."""
    print("| killed | answers since then | replaced after | left at the end |")  # noqa: T201 - a report
    print("| --- | --- | --- | --- |")  # noqa: T201
    for name, kind in KINDS.items():
        print("|", " | ".join(row(name, kind)), "|", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
