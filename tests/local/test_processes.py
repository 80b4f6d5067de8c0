"""The processes of `make run`: what happens when one is killed, and that none is left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.local.measuring import black, picture
from tests.server import command, running_server, starting_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.server import Server

WAIT_SECONDS = 60
IMAGE = picture()
SLOT = "multiprocessing.spawn"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """The folder for temporary files."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def measure(address: str, image: bytes = IMAGE) -> int:
    """The status of an answer; 0 if the connection broke."""
    try:
        return httpx.post(f"{address}/intensity", files={"image": ("a.png", image)}, timeout=WAIT_SECONDS).status_code
    except httpx.TransportError:
        return 0


def slots(server: Server) -> list[int]:
    return server.processes(SLOT)


@contextmanager
def stopped(server: Server) -> Iterator[list[int]]:
    """Stop all measuring processes meanwhile: what they have under way hangs."""
    wait_for(lambda: len(slots(server)) == 2 * len(server.workers()))
    # From now on, all are ready.
    assert measure(server.address, picture(seed=99)) == 200
    time.sleep(1)
    children = slots(server)
    for child in children:
        os.kill(child, signal.SIGSTOP)
    try:
        yield children
    finally:
        for child in set(children) & set(slots(server)):
            os.kill(child, signal.SIGCONT)


def test_there_is_a_worker_for_each_core_or_as_many_as_the_setting_says() -> None:
    with running_server(WORKERS="") as server, running_server(WORKERS="3") as other:
        wait_for(lambda: len(server.workers()) == len(os.sched_getaffinity(0)) and len(other.workers()) == 3)


@pytest.mark.parametrize("kind", ["worker", "slot"])
def test_a_process_that_is_killed_is_replaced_and_the_service_goes_on(temporary: Path, kind: str) -> None:
    with running_server(TMPDIR=str(temporary), WORKERS="2") as server:
        wait_for(lambda: len(slots(server)) == 4)
        found = server.workers if kind == "worker" else lambda: slots(server)
        before = found()
        os.kill(before[0], signal.SIGKILL)
        # Clients of another worker notice nothing; those of this one see their connection broken.
        statuses = [measure(server.address) for _ in range(20)]
        assert set(statuses) <= {200, 0}
        assert statuses[-1] == 200
        wait_for(lambda: len(found()) >= len(before) - (kind == "slot") and before[0] not in found())
        assert [measure(server.address, picture(seed=seed)) for seed in range(2, 7)] == [200] * 5
        assert server.interrupt() == 0
        assert "Traceback" not in server.output("err")
    assert list(temporary.iterdir()) == []


def test_a_worker_that_hangs_is_replaced() -> None:
    with running_server(WORKERS="2", GUNICORN_CMD_ARGS="--timeout=5") as server:
        wait_for(lambda: len(slots(server)) == 4)
        # It says now and then that it lives, for the first time when it begins to serve.
        time.sleep(3)
        hanging = server.workers()[0]
        os.kill(hanging, signal.SIGSTOP)
        wait_for(lambda: hanging not in server.workers() and len(server.workers()) == 2)
        wait_for(lambda: measure(server.address) == 200)


def test_a_run_that_is_killed_leaves_no_process_and_the_next_start_removes_its_files_and_no_others(
    tmp_path: Path, temporary: Path
) -> None:
    with starting_server(tmp_path, TMPDIR=str(temporary)) as server:
        server.wait_for_address()
        processes = server.processes()
        assert len(processes) >= 2
        server.process.kill()
        wait_for(lambda: not any(map(command, processes)))
        assert len(list(temporary.iterdir())) == 1
    with running_server(TMPDIR=str(temporary)) as first:
        assert len(list(temporary.iterdir())) == 1
        with running_server(TMPDIR=str(temporary)) as second:
            assert len(list(temporary.iterdir())) == 2
            assert [measure(each.address) for each in (first, second)] == [200, 200]
    assert list(temporary.iterdir()) == []


def test_images_that_are_measured_hold_up_nothing_else() -> None:
    with running_server() as server, ThreadPoolExecutor(12) as threads:
        with stopped(server):
            images = [threads.submit(measure, server.address, picture(seed=seed)) for seed in range(2, 6)]
            for _ in range(5):
                assert httpx.get(f"{server.address}/health", timeout=WAIT_SECONDS).is_success
            assert not any(image.done() for image in images)
        assert {image.result() for image in images} == {200}


def test_an_image_whose_client_has_gone_is_not_waited_for() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + IMAGE + b"\r\n--b--\r\n"
    head = f"POST /intensity HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with running_server(CACHE_TTL_SECONDS="0") as server:
        with stopped(server), ThreadPoolExecutor(4) as threads:
            # Each slot has one, and one more that it begins at once. The others wait.
            images = [threads.submit(measure, server.address, picture(seed=seed)) for seed in range(2, 5)]
            time.sleep(1)
            port = int(server.address.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as client:
                client.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + body)
                time.sleep(1)
            wait_for(lambda: 499 in statuses_logged(server))
            for child in slots(server):
                os.kill(child, signal.SIGCONT)
        assert {image.result() for image in images} == {200}
        assert measure(server.address) == 200


def statuses_logged(server: Server) -> list[int]:
    lines = [json.loads(line) for line in server.output("out").splitlines()[1:]]
    return [line["extra_info"]["status_code"] for line in lines if line["message"] == "request"]


def test_a_small_image_is_measured_before_large_ones_that_came_earlier() -> None:
    large = black(8000)
    with running_server() as server, ThreadPoolExecutor(12) as threads:
        # No two are the same file, so that the cache knows none.
        images = [threads.submit(measure, server.address, large + bytes(number)) for number in range(1, 13)]
        wait_for(lambda: any(image.done() for image in images))
        assert measure(server.address) == 200
        assert not all(image.done() for image in images)
        assert {image.result() for image in images} == {200}
