"""Counting requests over several processes, and what happens when they cannot be counted."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import time
from contextlib import closing
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest
from limits.aio.storage import RedisStorage

from gateway.log import make_logger
from local_server import counters as counters_module
from local_server import rate_limits as rate_limits_module
from local_server.counters import Counters
from local_server.rate_limits import RateLimits, redis_storage
from local_server.settings import LocalSettings
from tests.gateway.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

    from limits.aio.storage import Storage

    from tests.gateway.redis_server import RedisServer

PROCESSES, EACH, LIMIT = 4, 100, 150


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as running:
        yield running


def in_redis(address: dict[str, str]) -> Storage:
    return redis_storage(LocalSettings.load(address))


async def close(storage: Storage) -> None:
    """Close the connections of counters in Redis. The service has its own as long as it runs."""
    if isinstance(storage, RedisStorage):
        await storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]


def limits(storage: Storage, per_key: str, per_address: str = "0") -> RateLimits:
    return RateLimits(storage, per_key, per_address, make_logger(LocalSettings.load({})))


def enter(make: Callable[[Any], Storage], where: Any, barrier: Barrier, sent: Any) -> None:  # noqa: ANN401
    """A worker: count how many of its requests may enter."""

    # On a busy machine, a good Redis can be late.
    rate_limits_module.DEADLINE_SECONDS = 30

    async def ask() -> int:
        storage = make(where)
        rate_limits = limits(storage, f"{LIMIT}/hour")
        barrier.wait()
        answers = [await rate_limits.seconds_to_wait("key", "192.0.2.7") for _ in range(EACH)]
        await close(storage)
        return answers.count(0)

    sent.put(asyncio.run(ask()))


def entered(make: Callable[[Any], Storage], where: Any) -> list[int]:  # noqa: ANN401
    """How many requests of each worker may enter, when all ask at the same time."""
    processes = get_context("spawn")
    barrier, sent = processes.Barrier(PROCESSES), processes.Queue()
    workers = [processes.Process(target=enter, args=(make, where, barrier, sent)) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    counts = [sent.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    return counts


def test_the_limit_is_exact_over_several_processes_with_a_file(tmp_path: Path) -> None:
    assert sum(entered(Counters, tmp_path / "counters")) == LIMIT


def test_the_limit_is_exact_over_several_processes_with_redis(server: RedisServer) -> None:
    assert sum(entered(in_redis, server.address)) == LIMIT


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Moves the time of the counters."""
    now = [1_800_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by  # type: ignore[return-value]


def test_a_window_begins_with_its_first_request_and_ends_after_its_time(clock: Callable[[float], None]) -> None:
    rate_limits = limits(Counters(None), "2/minute")

    async def ask() -> int:
        return await rate_limits.seconds_to_wait("key", "")

    assert [asyncio.run(ask()) for _ in range(3)] == [0, 0, 60]
    clock(59.5)
    assert asyncio.run(ask()) == 1
    clock(0.5)
    assert [asyncio.run(ask()) for _ in range(3)] == [0, 0, 60]


def test_a_clock_that_is_set_back_begins_a_window_and_keeps_nobody_out(clock: Callable[[float], None]) -> None:
    rate_limits = limits(Counters(None), "2/minute")

    async def ask() -> int:
        return await rate_limits.seconds_to_wait("key", "")

    assert [asyncio.run(ask()) for _ in range(3)] == [0, 0, 60]
    clock(-3600)
    assert [asyncio.run(ask()) for _ in range(3)] == [0, 0, 60]


def test_a_request_waits_for_its_turn_at_the_file_while_others_go_on(tmp_path: Path) -> None:
    """SQLite would give up after 0.1 s, and then nobody would be counted for a while."""

    async def ask() -> int:
        rate_limits = limits(Counters(tmp_path / "counters"), "1/hour")
        assert await rate_limits.seconds_to_wait("key", "") == 0
        with closing(sqlite3.connect(tmp_path / "counters", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asked = asyncio.create_task(rate_limits.seconds_to_wait("key", ""))
            await asyncio.sleep(0.3)
            assert not asked.done()
            other.execute("COMMIT")
        return await asked

    assert asyncio.run(ask()) > 0


def test_a_file_that_another_process_keeps_lets_everyone_in_after_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits_module, "DEADLINE_SECONDS", 0.2)
    rate_limits, lines = logged(Counters(tmp_path / "counters"), "1/hour")

    async def ask() -> list[int]:
        first = await rate_limits.seconds_to_wait("key", "")
        with closing(sqlite3.connect(tmp_path / "counters", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            return [first, *[await rate_limits.seconds_to_wait("key", "") for _ in range(20)]]

    assert asyncio.run(ask()) == [0] * 21
    assert [line["message"] for line in lines()] == ["counting requests failed; going on without"]


def test_counters_whose_window_has_ended_are_removed(clock: Callable[[float], None]) -> None:
    counters = Counters(None)

    def stored() -> int:
        [count] = counters.database.execute("SELECT count(*) FROM counters").fetchone()
        return int(count)

    for at in range(100):
        asyncio.run(counters.incr(f"name {at}", 60))
    assert stored() == 100
    clock(60)
    for _ in range(10):
        asyncio.run(counters.incr("name 7", 60))
    assert stored() == 1
    assert asyncio.run(counters.get("name 7")) == 10


def test_a_file_that_is_full_lets_everyone_in_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters_module, "MAX_PAGES", 32)
    rate_limits, lines = logged(Counters(tmp_path / "counters"), "1/hour")

    async def ask() -> list[int]:
        return [await rate_limits.seconds_to_wait(f"key {at}", "") for at in range(3000)]

    assert set(asyncio.run(ask())) == {0}
    assert [line["message"] for line in lines()] == ["counting requests failed; going on without"]
    assert "full" in lines()[0]["error"]


def logged(storage: Storage, per_key: str) -> tuple[RateLimits, Callable[[], list[dict[str, Any]]]]:
    """Limits, and what their log says so far."""
    logger = make_logger(LocalSettings.load({}))
    output = io.StringIO()
    for handler in logger.handlers:
        handler.setStream(output)  # type: ignore[attr-defined]
    return RateLimits(storage, per_key, "0", logger), lambda: [
        json.loads(line) for line in output.getvalue().splitlines()
    ]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("fault", ["stop", "freeze"])
def test_without_an_answer_of_redis_everyone_enters_soon_and_the_log_says_so_once(
    server: RedisServer, fault: str
) -> None:
    async def ask() -> tuple[list[int], float]:
        storage = in_redis(server.address)
        rate_limits, lines = logged(storage, "1/hour")
        assert await rate_limits.seconds_to_wait("key", "") == 0
        getattr(server, fault)()
        begun = asyncio.get_running_loop().time()
        answers = [await rate_limits.seconds_to_wait("key", "") for _ in range(20)]
        took = asyncio.get_running_loop().time() - begun
        assert [line["message"] for line in lines()] == ["counting requests failed; going on without"]
        await close(storage)
        return answers, took

    answers, took = asyncio.run(ask())
    assert answers == [0] * 20
    # One of them waits for the deadline, of 1 s.
    assert took < 3


def test_a_redis_with_a_password_counts(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", "a:b@c/d", client={"password": "a:b@c/d"}) as server:

        async def ask() -> list[int]:
            storage = in_redis({**server.address, "REDIS_PASSWORD": "a:b@c/d"})
            rate_limits = limits(storage, "1/hour")
            answers = [await rate_limits.seconds_to_wait("key", "") for _ in range(2)]
            await close(storage)
            return answers

        first, second = asyncio.run(ask())
    assert first == 0
    assert 3599 <= second <= 3600
