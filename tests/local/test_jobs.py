"""Jobs of `make run`: real uploads, real measuring processes, and what happens when one of them dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock
from urllib.parse import urljoin

import httpx
import pytest
from filelock import FileLock

from contract.invocation import StoredImage
from contract.jobs import Job
from gateway.log import make_logger
from gateway.measuring.processor_client import Answer
from gateway.settings import Settings
from image_intensity import Options
from local_server import jobs
from local_server.cache import FileStore, prepare_database
from local_server.jobs import SignedStore, TaskQueue
from tests.e2e.uploads import announce, redeem, send
from tests.gateway.driver import measurement
from tests.local.measuring import black, invocation, measuring, picture
from tests.local.test_processes import SLOT
from tests.local.test_processes import measure as status_of
from tests.server import running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contract.invocation import Invocation
    from tests.server import Server

TIMEOUT = 30
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


def uploaded(url: str, content: bytes) -> str:
    """Upload a file, and return its ticket."""
    form = announce(url, content).raise_for_status().json()
    if not form["known"]:
        send(form, content).raise_for_status()
    ticket: str = form["ticket"]
    return ticket


def start(url: str, ticket: str, query: str = "") -> str:
    """Begin a job, and return its address."""
    response = httpx.post(f"{url}/jobs{query}", json={"ticket": ticket}, timeout=TIMEOUT)
    assert response.status_code == 202, response.text
    return urljoin(str(response.url), response.headers["Location"])


def finished(address: str) -> httpx.Response:
    """The answer of a job when it is neither queued nor running any more."""
    end = time.monotonic() + TIMEOUT
    while True:
        response = httpx.get(address, timeout=TIMEOUT)
        if not response.is_success or response.json()["status"] == "done":
            return response
        assert time.monotonic() < end, response.text
        time.sleep(0.05)


def status(address: str) -> str:
    """The status of a job that has not failed."""
    found: str = httpx.get(address, timeout=TIMEOUT).raise_for_status().json()["status"]
    return found


def process_for_jobs(server: Server) -> int:
    """The measuring process for jobs, which lets all others go first. It is there after the first job."""
    return max(server.processes(SLOT), key=lambda process: os.getpriority(os.PRIO_PROCESS, process))


@contextmanager
def stopped_for_jobs(server: Server) -> Iterator[int]:
    """Stop the measuring process for jobs meanwhile, and yield it."""
    assert finished(start(server.address, uploaded(server.address, picture(seed=90)))).is_success
    child = process_for_jobs(server)
    os.kill(child, signal.SIGSTOP)
    try:
        yield child
    finally:
        if child in server.processes(SLOT):
            os.kill(child, signal.SIGCONT)


def test_more_pixels_than_a_job_may_have_are_refused_by_the_header(server: Server) -> None:
    response = finished(start(server.address, uploaded(server.address, black(32_000))))
    assert (response.status_code, response.json()["code"]) == (413, "too_many_pixels")
    assert "at most 1,000,000,000" in response.json()["detail"]


def test_an_image_that_no_request_may_measure_is_measured_by_a_job(server: Server) -> None:
    ticket = uploaded(server.address, black(15_000))
    assert redeem(server.address, ticket).json()["code"] == "too_many_pixels"
    result = finished(start(server.address, ticket)).json()["result"]
    assert (result["average_intensity"], result["pixel_count"]) == (0.0, 225_000_000)
    # The sender of the same file has its job at once; a request is still refused.
    known = announce(server.address, black(15_000)).json()
    assert known["known"] is True
    assert httpx.post(f"{server.address}/jobs", json={"ticket": known["ticket"]}).json()["status"] == "done"
    assert redeem(server.address, known["ticket"]).json()["code"] == "too_many_pixels"


def test_jobs_hold_up_no_request_and_wait_for_each_other(server: Server) -> None:
    with stopped_for_jobs(server):
        addresses = [start(server.address, uploaded(server.address, picture(seed=seed))) for seed in (20, 21)]
        assert status_of(server.address, picture(seed=22)) == 200
        assert status_of(server.address, picture((1200, 1000), seed=23)) == 200
        assert status(addresses[1]) == "queued"
    assert {finished(address).status_code for address in addresses} == {200}


def test_a_killed_measuring_process_costs_its_job_and_the_same_ticket_begins_it_again(server: Server) -> None:
    with stopped_for_jobs(server) as child:
        ticket = uploaded(server.address, picture(seed=24))
        address = start(server.address, ticket)
        # The process has the job before it measures anything that came later.
        assert status_of(server.address, picture(seed=25)) == 200
        os.kill(child, signal.SIGKILL)
    assert finished(address).json()["code"] == "processor_failed"
    assert start(server.address, ticket) == address
    assert finished(address).json()["result"]["pixel_count"] == 64 * 48


async def test_one_job_is_measured_at_a_time_on_the_whole_machine(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        told: list[str] = []
        with FileLock(tmp_path / "job"):
            job = asyncio.create_task(
                running.processor.measure_job(invocation(picture()), lambda: told.append("begun"))
            )
            await asyncio.sleep(0.5)
            assert not told
        assert (await job).measurement.pixel_count == 64 * 48
        assert told == ["begun"]


class Work:
    """What a test's worker does: it begins, and ends when the test says so."""

    def __init__(self) -> None:
        self.begun, self.end = asyncio.Event(), asyncio.Event()
        self.error: Exception | None = None

    async def measure_job(self, _: Invocation, begun: Callable[[], object]) -> Answer:
        await self.begun.wait()
        begun()
        await self.end.wait()
        if self.error:
            raise self.error
        return Answer(measurement())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStore:
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.02)
    prepare_database(tmp_path / "jobs.sqlite")
    return FileStore(tmp_path / "jobs.sqlite")


class Queue:
    """A queue with a worker and a store of the test, and one job in it."""

    def __init__(self, store: Any) -> None:  # noqa: ANN401 - any store
        self.work, self.store = Work(), store
        self.queue = TaskQueue(store, self.work, make_logger(Settings.load({})))  # type: ignore[arg-type]

    async def send(self) -> None:
        image = StoredImage(bucket="b", key="uploads/k", size=1, sha256="0" * 64)
        await self.queue.send("job", Job.of("a.png", image, Options()), invocation(image))

    async def record(self) -> Job | None:
        content = await self.store.read("job")
        return Job.from_json(content) if content else None

    async def until(self, condition: Callable[[Job], bool]) -> Job:
        async with asyncio.timeout(TIMEOUT):
            while not ((job := await self.record()) and condition(job)):  # noqa: ASYNC110 - nobody sets an event
                await asyncio.sleep(0.01)
        return job


async def test_a_worker_says_all_the_time_that_it_lives(store: FileStore) -> None:
    queue = Queue(store)
    await queue.send()
    waiting = await queue.until(lambda job: job.status == "queued")
    await queue.until(lambda job: job.until > waiting.until)
    queue.work.begun.set()
    running = await queue.until(lambda job: job.status == "running")
    await queue.until(lambda job: job.until > running.until)
    queue.work.end.set()
    assert (await queue.until(lambda job: job.status == "finished")).answer


async def test_any_fault_of_a_worker_ends_the_job(store: FileStore) -> None:
    queue = Queue(store)
    queue.work.error = RuntimeError("secret")
    await queue.send()
    queue.work.begun.set()
    queue.work.end.set()
    job = await queue.until(lambda job: job.status == "finished")
    assert job.answer
    assert job.answer["problem"]["code"] == "processor_failed"
    assert "secret" not in job.answer["problem"]["detail"]


async def test_an_answer_survives_a_store_that_is_away(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(SignedStore(store, "secret"))
    await queue.send()
    queue.work.begun.set()
    await queue.until(lambda job: job.status == "running")
    with monkeypatch.context() as away:
        away.setattr(store, "write", AsyncMock(side_effect=ConnectionError))
        queue.work.end.set()
        await asyncio.sleep(0.1)
        assert queue.queue.tasks
    await queue.until(lambda job: job.status == "finished")


async def test_a_record_that_somebody_else_has_written_is_not_there(store: FileStore) -> None:
    signed = SignedStore(store, "secret")
    await signed.write("a", b"value", 60, replace=True)
    assert await signed.read("a") == b"value"
    await store.write("b", await store.read("a"), 60, replace=True)
    assert await signed.read("b") == b""
    await store.write("a", b"another value", 60, replace=True)
    assert await signed.read("a") == b""
    assert await SignedStore(store, "another").read("a") == b""
    assert not await signed.write("a", b"second", 60, replace=False)
