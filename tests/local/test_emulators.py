"""The emulators of Compose: no emulator ever has two invocations at a time."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from contract.invocation import Invocation, measurement_answer
from contract.problems import ProblemError
from gateway.log import make_logger
from gateway.settings import Settings
from local_server import emulators as emulators_module
from local_server.app import make_processors
from local_server.emulators import EmulatorQueue
from local_server.settings import LocalSettings
from local_server.start import prepared
from processor.handler import measure_invocation
from tests.local.measuring import invocation, picture, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from contract.jobs import Progress

pytestmark = pytest.mark.anyio

IMAGE = picture()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


class Emulator(ThreadingHTTPServer):
    """Answers as the processor in its emulator does. Two invocations at once break it for good.

    let_go: as long as it is not set, invocations hang.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.let_go = threading.Event()
        self.let_go.set()
        self.under_way = self.count = 0
        self.broken = self.failing = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def invoke(self, payload: bytes) -> tuple[int, bytes]:
        self.count += 1
        self.under_way += 1
        self.broken = self.broken or self.under_way > 1
        self.let_go.wait(20)
        self.under_way -= 1
        if self.broken or self.failing:
            return 502, b"{}"
        measurement = measure_invocation(Invocation.from_event(json.loads(payload)))
        return 200, json.dumps(measurement_answer(measurement)).encode()


class Handler(BaseHTTPRequestHandler):
    server: Emulator

    def do_POST(self) -> None:
        status, answer = self.server.invoke(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def emulators() -> Iterator[list[Emulator]]:
    """Two emulators."""
    running = [Emulator(), Emulator()]
    threads = [threading.Thread(target=each.serve_forever, args=[0.02]) for each in running]
    for thread in threads:
        thread.start()
    yield running
    for each, thread in zip(running, threads, strict=True):
        each.let_go.set()
        each.shutdown()
        thread.join()
        each.server_close()


@asynccontextmanager
async def queue_for(emulators: list[Emulator]) -> AsyncIterator[EmulatorQueue]:
    """What a gateway measures with."""
    queue = EmulatorQueue(tuple(each.address for each in emulators), "function", make_logger(Settings.load({})))
    yield queue
    await close(queue, len(emulators))


async def close(queue: EmulatorQueue, number: int) -> None:
    """Close the connections of a queue when all its emulators are idle."""
    for _ in range(number):
        *_, emulator = await queue.idle.get()
        emulator.client.close()


async def code(queue: EmulatorQueue) -> str:
    """`measured`, or the code of the problem that came instead."""
    try:
        await queue.measure(invocation(IMAGE))
    except ProblemError as problem:
        return problem.code.value
    return "measured"


async def test_each_emulator_has_one_invocation_at_a_time(emulators: list[Emulator]) -> None:
    async with queue_for(emulators) as queue:
        outcomes = await asyncio.gather(*[code(queue) for _ in range(30)])
    assert set(outcomes) == {"measured"}
    assert sum(each.count for each in emulators) == 30
    assert all(each.count for each in emulators)


async def test_a_request_that_waits_too_long_is_told_that_all_are_busy(
    emulators: list[Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulators_module, "QUEUE_SECONDS", 0.2)
    async with queue_for(emulators) as queue:
        for each in emulators:
            each.let_go.clear()
        under_way = [asyncio.create_task(code(queue)) for _ in range(2)]
        await until(lambda: all(each.under_way for each in emulators))
        assert await code(queue) == "processor_busy"
        for each in emulators:
            each.let_go.set()
        assert await asyncio.gather(*under_way) == ["measured"] * 2
        assert await code(queue) == "measured"


async def test_an_emulator_that_has_failed_comes_last(emulators: list[Emulator]) -> None:
    async with queue_for(emulators) as queue:
        for each in emulators:
            each.failing = True
        assert await code(queue) == "processor_failed"
        [failed] = [each for each in emulators if each.count]
        [fit] = [each for each in emulators if not each.count]
        fit.failing = False
        assert [await code(queue) for _ in range(5)] == ["measured"] * 5
        assert (failed.count, fit.count) == (1, 5)


async def test_a_request_that_is_cancelled_gives_up_its_place(emulators: list[Emulator]) -> None:
    [emulator, _] = emulators
    async with queue_for([emulator]) as queue:
        emulator.let_go.clear()
        requests = [asyncio.create_task(code(queue)) for _ in range(3)]
        await until(lambda: emulator.under_way)
        requests[1].cancel()
        await asyncio.wait([requests[1]])
        emulator.let_go.set()
        assert [await requests[0], await requests[2]] == ["measured"] * 2
    assert emulator.count == 2


async def test_an_invocation_whose_request_is_cancelled_is_finished_before_the_next_one(
    emulators: list[Emulator],
) -> None:
    [emulator, _] = emulators
    async with queue_for([emulator]) as queue:
        emulator.let_go.clear()
        request = asyncio.create_task(code(queue))
        await until(lambda: emulator.under_way)
        request.cancel()
        await asyncio.wait([request])
        another = asyncio.create_task(code(queue))
        await asyncio.sleep(0.2)
        emulator.let_go.set()
        assert await another == "measured"
        assert not emulator.broken


async def test_a_gateway_with_emulators_has_one_worker_and_jobs_an_emulator_of_their_own(
    emulators: list[Emulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    job_endpoint = {"JOB_ENDPOINT": emulators[1].address}
    settings = LocalSettings.load({"PROCESSOR_ENDPOINTS": emulators[0].address, "WORKERS": "4", **job_endpoint})
    assert prepared(settings, alone=False)["WORKERS"] == "1"
    processor, for_jobs = make_processors(settings, tmp_path, make_logger(settings))
    assert isinstance(for_jobs, EmulatorQueue)
    told: list[Progress] = []
    answer = await for_jobs.measure_job(invocation(IMAGE), told.append)
    assert (answer.measurement.pixel_count, told[0].step) == (64 * 48, "reading")
    assert [each.count for each in emulators] == [0, 1]
    for queue in (processor, for_jobs):
        assert isinstance(queue, EmulatorQueue)
        await close(queue, 1)
