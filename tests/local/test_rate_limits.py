"""Counting requests in each worker or in Redis, and what happens when they cannot be counted."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from limits.aio.storage import RedisStorage

from gateway.log import make_logger
from local_server.rate_limits import RateLimits
from local_server.settings import LocalSettings
from tests.gateway.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.gateway.redis_server import RedisServer

LOGGER = make_logger(LocalSettings.load({}))


PASSWORD = "a:b@c/d"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path, "--requirepass", PASSWORD, client={"password": PASSWORD}) as running:
        yield running


def address(server: RedisServer) -> dict[str, str]:
    return {**server.address, "REDIS_PASSWORD": PASSWORD}


async def close(limits: RateLimits) -> None:
    """Close the connections of counters in Redis. The service has its own as long as it runs."""
    storage = limits.limiter.storage
    if isinstance(storage, RedisStorage):
        await storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]


def test_a_limit_is_divided_among_workers_that_count_for_themselves(server: RedisServer) -> None:
    per_key = {"API_KEYS": "0" * 64, "RATE_LIMIT_PER_KEY": "10/second;7/day", "WORKERS": "4"}
    alone = RateLimits(LocalSettings.load(per_key), LOGGER)
    assert [(each.amount, each.get_expiry()) for each in alone.per_key] == [(3, 1), (2, 86_400)]
    together = RateLimits(LocalSettings.load({**per_key, **address(server)}), LOGGER)
    assert [each.amount for each in together.per_key] == [10, 7]
    few = RateLimits(LocalSettings.load({"RATE_LIMIT_PER_ADDRESS": "1/hour", "WORKERS": "4"}), LOGGER)
    assert [each.amount for each in few.per_address] == [1]


def test_a_limit_holds_for_all_workers_together_with_redis(server: RedisServer) -> None:
    async def ask() -> list[int]:
        settings = {**address(server), "RATE_LIMIT_PER_ADDRESS": "15/hour", "WORKERS": "2"}
        workers = [RateLimits(LocalSettings.load(settings), LOGGER) for _ in range(2)]
        answers = [await workers[at % 2].seconds_to_wait(None, "192.0.2.7") for at in range(20)]
        for worker in workers:
            await close(worker)
        return answers

    answers = asyncio.run(ask())
    assert [seconds > 0 for seconds in answers] == [False] * 15 + [True] * 5


def test_a_window_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_800_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])

    async def ask() -> list[int]:
        limits = RateLimits(LocalSettings.load({"RATE_LIMIT_PER_ADDRESS": "2/minute"}), LOGGER)
        first = [await limits.seconds_to_wait(None, "a") for _ in range(3)]
        now[0] += 59.5
        first.append(await limits.seconds_to_wait(None, "a"))
        now[0] += 1
        return first + [await limits.seconds_to_wait(None, "a") for _ in range(3)]

    assert asyncio.run(ask()) == [0, 0, 60, 1, 0, 0, 60]


def logged(settings: dict[str, str]) -> tuple[RateLimits, Callable[[], list[dict[str, Any]]]]:
    """Limits, and what their log says so far."""
    logger = make_logger(LocalSettings.load({}))
    output = io.StringIO()
    for handler in logger.handlers:
        handler.setStream(output)  # type: ignore[attr-defined]
    limits = RateLimits(LocalSettings.load({**settings, "RATE_LIMIT_PER_ADDRESS": "1/hour"}), logger)
    return limits, lambda: [json.loads(line) for line in output.getvalue().splitlines()]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("fault", ["stop", "freeze"])
def test_without_an_answer_of_redis_everyone_enters_soon_and_the_log_says_so_once(
    server: RedisServer, fault: str
) -> None:
    async def ask() -> tuple[list[int], float]:
        limits, lines = logged(address(server))
        assert await limits.seconds_to_wait(None, "a") == 0
        getattr(server, fault)()
        begun = asyncio.get_running_loop().time()
        answers = [await limits.seconds_to_wait(None, "a") for _ in range(20)]
        took = asyncio.get_running_loop().time() - begun
        assert [line["message"] for line in lines()] == ["counting requests failed; going on without"]
        await close(limits)
        return answers, took

    answers, took = asyncio.run(ask())
    assert answers == [0] * 20
    # One of them waits for the deadline, of 1 s.
    assert took < 3


def test_a_redis_that_has_become_a_replica_is_left_for_the_new_primary(server: RedisServer) -> None:
    """A failover behind one name: the connection stays open, and leads to what only answers reads from now on."""

    async def ask() -> list[int]:
        limits, _ = logged(address(server))
        await limits.seconds_to_wait(None, "a")
        with server.connect() as admin:
            admin.replicaof("127.0.0.1", "1")
            before = admin.info("stats")["total_connections_received"]
            await limits.seconds_to_wait(None, "b")
            assert admin.info("stats")["total_connections_received"] > before
            admin.replicaof("NO", "ONE")
        limits.breaker.succeeded()
        answers = [await limits.seconds_to_wait(None, "a") for _ in range(2)]
        await close(limits)
        return answers

    assert all(asyncio.run(ask()))
