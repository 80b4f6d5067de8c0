"""The emulators of Compose: no emulator ever has two invocations at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from contract.problems import ProblemCode, ProblemError
from gateway.log import make_logger
from gateway.measuring.processor_client import Answer
from gateway.settings import Settings
from local_server import processor as processor_module
from local_server.app import make_processors
from local_server.processor import EmulatorQueue
from local_server.settings import LocalSettings
from local_server.start import prepared
from tests.gateway.driver import measurement
from tests.local.measuring import invocation, until

if TYPE_CHECKING:
    from pathlib import Path

    from contract.invocation import Invocation

pytestmark = pytest.mark.anyio
LOGGER = make_logger(Settings.load({}))
INVOCATION = invocation(b"an image")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Emulator:
    """Takes the place of an emulator and its client. Two invocations at once break it for good.

    let_go: as long as it is not set, invocations hang.
    """

    def __init__(self, address: str, *_: object) -> None:
        self.address, self.let_go = address, asyncio.Event()
        self.let_go.set()
        self.under_way = self.count = 0
        self.broken = self.failing = False

    async def measure(self, _: Invocation) -> Answer:
        self.count += 1
        self.under_way += 1
        self.broken = self.broken or self.under_way > 1
        await asyncio.sleep(0.001)
        await self.let_go.wait()
        self.under_way -= 1
        if self.broken or self.failing:
            raise ProblemError(ProblemCode.PROCESSOR_FAILED)
        return Answer(measurement())


@pytest.fixture
def emulators(monkeypatch: pytest.MonkeyPatch) -> list[Emulator]:
    """Two emulators, in the place of any that a queue is made for."""
    made: list[Emulator] = []

    def make(*given: str) -> Emulator:
        made.append(Emulator(*given))
        return made[-1]

    monkeypatch.setattr(processor_module, "make_lambda_client", lambda endpoint, _: endpoint)
    monkeypatch.setattr(processor_module, "LambdaProcessor", make)
    return made


@pytest.fixture
def queue(emulators: list[Emulator]) -> EmulatorQueue:
    """A queue for two emulators."""
    found = EmulatorQueue(("http://one", "http://two"), "function", LOGGER)
    assert [each.address for each in emulators] == ["http://one", "http://two"]
    return found


async def code(queue: EmulatorQueue) -> str:
    """`measured`, or the code of the problem that came instead."""
    try:
        await queue.measure(INVOCATION)
    except ProblemError as problem:
        return problem.code.value
    return "measured"


async def test_each_emulator_has_one_invocation_at_a_time(emulators: list[Emulator], queue: EmulatorQueue) -> None:
    assert set(await asyncio.gather(*[code(queue) for _ in range(30)])) == {"measured"}
    assert [each.count for each in emulators] == [15, 15]


async def test_a_request_that_waits_too_long_is_told_that_all_are_busy(
    emulators: list[Emulator], queue: EmulatorQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "seconds", 0.1)
    for each in emulators:
        each.let_go.clear()
    under_way = [asyncio.create_task(code(queue)) for _ in range(2)]
    await until(lambda: all(each.under_way for each in emulators))
    assert await code(queue) == "processor_busy"
    for each in emulators:
        each.let_go.set()
    assert await asyncio.gather(*under_way, code(queue)) == ["measured"] * 3


async def test_an_emulator_that_has_failed_comes_last(emulators: list[Emulator], queue: EmulatorQueue) -> None:
    emulators[0].failing = True
    assert await code(queue) == "processor_failed"
    assert [await code(queue) for _ in range(5)] == ["measured"] * 5
    assert [each.count for each in emulators] == [1, 5]


async def test_a_request_that_is_cancelled_gives_up_its_place_and_what_has_begun_is_finished(
    emulators: list[Emulator],
) -> None:
    queue = EmulatorQueue(("http://one",), "function", LOGGER)
    [emulator] = emulators
    emulator.let_go.clear()
    begun, waiting, last = (asyncio.create_task(code(queue)) for _ in range(3))
    await until(lambda: emulator.under_way)
    for request in (begun, waiting):
        request.cancel()
    await asyncio.wait([begun, waiting])
    await asyncio.sleep(0.05)
    assert emulator.count == 1
    emulator.let_go.set()
    assert await last == "measured"
    assert (emulator.count, emulator.broken) == (2, False)


async def test_a_gateway_with_emulators_has_one_worker_and_jobs_an_emulator_of_their_own(
    emulators: list[Emulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    addresses = {"PROCESSOR_ENDPOINTS": "http://one", "JOB_ENDPOINT": "http://jobs"}
    settings = LocalSettings.load({"WORKERS": "4", **addresses})
    assert prepared(settings, alone=False)["WORKERS"] == "1"
    _, for_jobs = make_processors(settings, tmp_path, LOGGER)
    assert isinstance(for_jobs, EmulatorQueue)
    told: list[str] = []
    answer = await for_jobs.measure_job(INVOCATION, lambda: told.append("begun"))
    assert (answer.measurement, told) == (measurement(), ["begun"])
    assert {each.address: each.count for each in emulators} == {"http://one": 0, "http://jobs": 1}
