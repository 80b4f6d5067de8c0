"""The emulators of Compose: several workers share them, and no emulator ever has two invocations at a time."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from contract.invocation import Invocation, measurement_answer
from contract.problems import ProblemError
from gateway.log import make_logger
from gateway.settings import Settings
from local_server.emulators import BEGUN, EmulatorQueue, EmulatorTurns
from local_server.measuring.broker import broker, listening
from local_server.measuring.request import written
from local_server.settings import LocalSettings
from processor.handler import measure_invocation
from tests.local.measuring import invocation, picture, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

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
async def queues(
    folder: Path, emulators: list[Emulator], number: int = 3, **seconds: float
) -> AsyncIterator[list[EmulatorQueue]]:
    """What so many workers measure with, and a broker for them."""
    logger, endpoints = make_logger(Settings.load({})), tuple(each.address for each in emulators)
    async with listening(EmulatorTurns(len(emulators), for_jobs=None, **seconds), folder) as running:
        made = [EmulatorQueue(running.path, endpoints, "function", logger) for _ in range(number)]
        yield made
        for queue in made:
            for emulator in queue.emulators:
                emulator.client.close()


async def code(queue: EmulatorQueue) -> str:
    """`measured`, or the code of the problem that came instead."""
    try:
        await queue.measure(invocation(IMAGE))
    except ProblemError as problem:
        return problem.code.value
    return "measured"


async def turn_of(worker: EmulatorQueue) -> asyncio.StreamWriter:
    """Ask the broker as a worker does, and return the connection when it is the turn with the only emulator."""
    reader, writer = await asyncio.open_unix_connection(worker.path)
    writer.write(written({}))
    assert await reader.read(100) == b"0"
    return writer


async def test_each_emulator_has_one_invocation_at_a_time(tmp_path: Path, emulators: list[Emulator]) -> None:
    async with queues(tmp_path, emulators) as workers:
        outcomes = await asyncio.gather(*[code(worker) for worker in workers for _ in range(10)])
    assert set(outcomes) == {"measured"}
    assert sum(each.count for each in emulators) == 30
    assert all(each.count for each in emulators)


async def test_a_request_that_waits_too_long_is_told_that_all_are_busy(
    tmp_path: Path, emulators: list[Emulator]
) -> None:
    async with queues(tmp_path, emulators, waiting=0.2) as [worker, *_]:
        for each in emulators:
            each.let_go.clear()
        under_way = [asyncio.create_task(code(worker)) for _ in range(2)]
        await until(lambda: all(each.under_way for each in emulators))
        assert await code(worker) == "processor_busy"
        for each in emulators:
            each.let_go.set()
        assert await asyncio.gather(*under_way) == ["measured"] * 2
        assert await code(worker) == "measured"


async def test_an_emulator_that_has_failed_comes_last(tmp_path: Path, emulators: list[Emulator]) -> None:
    async with queues(tmp_path, emulators) as [worker, other, *_]:
        for each in emulators:
            each.failing = True
        assert await code(worker) == "processor_failed"
        [failed] = [each for each in emulators if each.count]
        [fit] = [each for each in emulators if not each.count]
        fit.failing = False
        assert [await code(other) for _ in range(5)] == ["measured"] * 5
        assert (failed.count, fit.count) == (1, 5)


async def test_an_invocation_whose_request_is_cancelled_is_finished_before_the_next_one(
    tmp_path: Path, emulators: list[Emulator]
) -> None:
    [emulator, _] = emulators
    async with queues(tmp_path, [emulator]) as [worker, *_]:
        emulator.let_go.clear()
        request = asyncio.create_task(code(worker))
        await until(lambda: emulator.under_way)
        request.cancel()
        await asyncio.wait([request])
        another = asyncio.create_task(code(worker))
        await asyncio.sleep(0.2)
        emulator.let_go.set()
        assert await another == "measured"
        assert not emulator.broken


async def test_an_emulator_whose_worker_died_rests_as_long_as_its_invocation_can_take(
    tmp_path: Path, emulators: list[Emulator]
) -> None:
    [emulator, _] = emulators
    async with queues(tmp_path, [emulator], longest=0.5) as [worker, *_]:
        writer = await turn_of(worker)
        writer.write(BEGUN)
        await writer.drain()
        writer.close()
        begun = asyncio.get_running_loop().time()
        assert await code(worker) == "measured"
        assert asyncio.get_running_loop().time() - begun >= 0.4


async def test_an_emulator_whose_worker_gave_up_before_its_invocation_is_given_to_the_next_one_at_once(
    tmp_path: Path, emulators: list[Emulator]
) -> None:
    [emulator, _] = emulators
    # If it rested, the next request would wait too long for its turn.
    async with queues(tmp_path, [emulator], longest=600) as [worker, *_]:
        writer = await turn_of(worker)
        writer.close()
        assert await code(worker) == "measured"


async def test_requests_that_are_cancelled_at_any_moment_leave_no_emulator_resting(
    tmp_path: Path, emulators: list[Emulator]
) -> None:
    """A client that goes has its request cancelled. When its turn comes in that moment, nothing is invoked."""
    moments = random.Random(1)
    async with queues(tmp_path, emulators, longest=600) as workers:
        for _ in range(40):
            requests = [asyncio.create_task(code(worker)) for worker in workers for _ in range(3)]
            for request in requests:
                await asyncio.sleep(moments.uniform(0, 0.004))
                request.cancel()
            await asyncio.wait(requests)
        assert await asyncio.gather(*[code(workers[0]) for _ in range(4)]) == ["measured"] * 4
        assert not any(each.broken for each in emulators)


async def test_a_request_that_is_cancelled_gives_up_its_place(tmp_path: Path, emulators: list[Emulator]) -> None:
    [emulator, _] = emulators
    async with queues(tmp_path, [emulator]) as [worker, *_]:
        emulator.let_go.clear()
        requests = [asyncio.create_task(code(worker)) for _ in range(3)]
        await until(lambda: emulator.under_way)
        requests[1].cancel()
        await asyncio.wait([requests[1]])
        emulator.let_go.set()
        assert [await requests[0], await requests[2]] == ["measured"] * 2
    assert emulator.count == 2


async def test_the_broker_gives_turns_where_the_settings_name_emulators(
    tmp_path: Path, emulators: list[Emulator]
) -> None:
    endpoints = ",".join(each.address for each in emulators)
    settings = LocalSettings.load({"PROCESSOR_ENDPOINTS": endpoints})
    logger = make_logger(settings)
    async with broker(settings, None, logger, tmp_path) as running:
        queue = EmulatorQueue(running.path, settings.processor_endpoints, "function", logger)
        assert await code(queue) == "measured"
        for emulator in queue.emulators:
            emulator.client.close()
