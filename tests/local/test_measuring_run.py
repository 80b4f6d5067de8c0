"""`make run` while its measuring processes hang, are killed, or have much to do."""

from __future__ import annotations

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.local.measuring import black, picture
from tests.local.test_processes import wait_for
from tests.server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server import Server

CHILD = "local_server.measuring.child"
TIMEOUT = 30
FORM_HEAD = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
FORM_END = b"\r\n--b--\r\n"


def post(address: str, image: bytes) -> httpx.Response:
    return httpx.post(f"{address}/intensity", files={"image": ("a.png", image)}, timeout=TIMEOUT)


def outcome(address: str, image: bytes) -> str:
    """`measured`, or the code of the problem that came instead."""
    answer = post(address, image)
    code: str = "measured" if answer.is_success else answer.json()["code"]
    return code


@contextmanager
def stopped(server: Server) -> Iterator[list[int]]:
    """Stop all measuring processes meanwhile: what they have under way hangs."""
    wait_for(lambda: len(server.processes(CHILD)) == 3)
    # From now on, all are ready.
    assert outcome(server.address, picture()) == "measured"
    children = server.processes(CHILD)
    for child in children:
        os.kill(child, signal.SIGSTOP)
    try:
        yield children
    finally:
        for child in children:
            if child in server.processes(CHILD):
                os.kill(child, signal.SIGCONT)


def logged(server: Server, kind: str) -> list[dict[str, Any]]:
    """The lines of the log with this message."""
    lines = [loads(line) for line in server.output("out").splitlines()[1:]]
    return [line for line in lines if line["message"] == kind]


def open_files(server: Server) -> int:
    """How many files and sockets the parent has open."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_images_that_are_measured_hold_up_nothing_else() -> None:
    with running_server() as server, ThreadPoolExecutor(12) as threads:
        with stopped(server):
            images = [threads.submit(outcome, server.address, picture(seed=seed)) for seed in range(2, 6)]
            for _ in range(5):
                assert httpx.get(f"{server.address}/health", timeout=TIMEOUT).is_success
            assert not any(image.done() for image in images)
        assert {image.result() for image in images} == {"measured"}


def test_measuring_processes_that_are_killed_cost_the_images_that_they_have() -> None:
    with running_server() as server, ThreadPoolExecutor(12) as threads:
        with stopped(server) as children:
            # The request that has just been answered may still have its connection.
            time.sleep(1)
            connections = open_files(server)
            images = [threads.submit(outcome, server.address, picture(seed=seed)) for seed in range(2, 10)]
            # Each process has one, or will have it in a moment, and the others wait.
            wait_for(lambda: open_files(server) >= connections + 8)
            for child in children:
                os.kill(child, signal.SIGKILL)
            outcomes = sorted(image.result() for image in images)
        failures = logged(server, "processor failed")
        assert 1 <= len(failures) <= 3
        assert outcomes == ["measured"] * (8 - len(failures)) + ["processor_failed"] * len(failures)
        assert all("was ended by SIGKILL" in failure["error"] for failure in failures)
        failed = {line["request_id"] for line in logged(server, "request") if line["extra_info"]["status_code"] == 502}
        assert {failure["request_id"] for failure in failures} == failed
        assert [outcome(server.address, picture(seed=seed)) for seed in range(2, 10)] == ["measured"] * 8


def test_an_image_whose_client_has_gone_is_not_waited_for() -> None:
    body = FORM_HEAD + picture(seed=7) + FORM_END
    head = f"POST /intensity HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with running_server() as server:
        with stopped(server):
            port = int(server.address.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as client:
                client.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + body)
                assert httpx.get(f"{server.address}/health", timeout=TIMEOUT).is_success
            wait_for(lambda: 499 in [line["extra_info"]["status_code"] for line in logged(server, "request")])
        assert outcome(server.address, picture(seed=7)) == "measured"


def test_a_small_image_is_measured_before_large_ones_that_came_earlier() -> None:
    large = black(8000)
    with running_server() as server, ThreadPoolExecutor(12) as threads:
        # No two are the same file, so that the cache knows none.
        images = [threads.submit(outcome, server.address, large + bytes(number)) for number in range(1, 13)]
        wait_for(lambda: any(image.done() for image in images))
        assert outcome(server.address, picture()) == "measured"
        assert not all(image.done() for image in images)
        assert {image.result() for image in images} == {"measured"}
