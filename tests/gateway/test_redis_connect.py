"""Connecting ahead of the first request: to a real TLS cluster 30 ms away in each direction, and to what is silent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.log import make_logger
from gateway.measuring import redis_store as store_module
from gateway.measuring.cache import Cache, make_cache
from gateway.measuring.redis_store import RedisStore
from gateway.settings import Settings
from image_intensity import Options
from tests.gateway.driver import measurement
from tests.gateway.redis_server import RedisServer, redis_server
from tests.gateway.test_redis import impostor, silence, tls_server, trickle
from tests.support import free_port

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

DELAY_SECONDS = 0.03
SHA256 = "0" * 64


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, each piece as late as if it had travelled for `DELAY_SECONDS`."""
    while piece := await reader.read(65536):
        asyncio.get_running_loop().call_later(DELAY_SECONDS, writer.write, piece)
    asyncio.get_running_loop().call_later(DELAY_SECONDS, writer.close)


@asynccontextmanager
async def far_away(port: int, target: int) -> AsyncIterator[None]:
    """Have the server at `target` also at `port`, but with a long way to it."""
    pumps: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        writers.append(far_writer)
        pumps.update(asyncio.create_task(pump(*way)) for way in ((reader, far_writer), (far_reader, writer)))

    async with await asyncio.start_server(connect, "127.0.0.1", port):
        try:
            yield
        finally:
            # Also if a test fails here: what it left open would fail another test.
            for task in pumps:
                task.cancel()
            for writer in writers:
                writer.close()
            await asyncio.gather(*pumps, *(writer.wait_closed() for writer in writers), return_exceptions=True)


@asynccontextmanager
async def connecting(**variables: str) -> AsyncIterator[Cache]:
    """The cache that these variables configure."""
    settings = Settings.load({**variables, "APP_ENV": "development"})
    cache = make_cache(settings, make_logger(settings))
    assert isinstance(cache.store, RedisStore)
    try:
        yield cache
    finally:
        await cache.store.close()


TLS_CLUSTER = {"REDIS_CLUSTER": "true", "REDIS_TLS": "true"}


@pytest.mark.usefixtures("deployed")
def test_a_cluster_far_away_that_was_connected_first_answers_the_first_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has one node, and speaks TLS only. Without connecting first, this would take longer than an operation may."""
    far = free_port()
    options = ["--tls-cluster", "yes", "--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    options += ["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-tls-port", str(far)]

    async def test(port: int) -> None:
        address = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(far)}
        async with far_away(far, port), connecting(**address, **TLS_CLUSTER) as cache:
            await cache.open()
            await assert_works(cache)

    with tls_server(tmp_path, "127.0.0.1", *options) as (server, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        server.own_all_slots()
        asyncio.run(test(server.port))


async def assert_works(cache: Cache) -> None:
    known = measurement()
    assert (await cache.get(SHA256, Options())) == ("miss", None, False)
    assert await cache.put(SHA256, known, Options())
    assert (await cache.get(SHA256, Options())) == ("hit", known, False)


# Longer than the bound of connecting, and than this machine can be busy.
TIMEOUT_SECONDS = 10


async def assert_given_up(cache: Cache) -> None:
    """Connecting ends by itself, and no failure is counted: the next request asks the cache."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await cache.open()
    assert cache.reads.allows()
    assert cache.writes.allows()


def test_a_server_that_is_not_there_is_not_waited_for_and_counts_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with connecting(REDIS_HOST="127.0.0.1", REDIS_PORT=str(free_port()), **TLS_CLUSTER) as cache:
            await assert_given_up(cache)

    asyncio.run(test())
    assert "connecting the cache failed" in caplog.text


@pytest.mark.parametrize(("kind", "answer"), [({}, silence), ({}, trickle), (TLS_CLUSTER, silence)])
def test_a_server_that_accepts_and_never_answers_is_given_up_and_counts_no_failure(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: dict[str, str],
    answer: Callable[[socket.socket], None],
) -> None:
    """By the bound of connecting alone: the clients' own, for one read, would end most of these sooner."""
    monkeypatch.setattr(store_module, "SOCKET_TIMEOUT_SECONDS", 10 * TIMEOUT_SECONDS)
    monkeypatch.setattr(store_module, "CONNECT_SECONDS", 0.3)

    async def test(address: dict[str, str]) -> None:
        async with connecting(**address, **kind) as cache:
            await assert_given_up(cache)

    with impostor(answer) as address:
        asyncio.run(test(address))
    assert "connecting the cache failed" in caplog.text


def test_a_server_that_was_silent_while_it_was_connected_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its late answer to the first question is not taken for the answer to another one."""
    monkeypatch.setattr(store_module, "CONNECT_SECONDS", 0.3)

    async def test(server: RedisServer) -> None:
        async with connecting(**server.address) as cache:
            server.freeze()
            await assert_given_up(cache)
            server.thaw()
            await assert_works(cache)

    with redis_server(tmp_path) as server:
        asyncio.run(test(server))
