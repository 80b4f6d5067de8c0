"""Connecting ahead of the first request: to a real TLS cluster 30 ms away in each direction, and to what is silent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.log import make_logger
from gateway.measuring import redis_store as store_module
from gateway.measuring.cache import RecordCache, make_cache
from gateway.measuring.redis_store import RedisStore
from gateway.settings import Settings
from image_intensity import Options
from tests.gateway.driver import measurement
from tests.gateway.redis_server import RedisServer, redis_server
from tests.gateway.test_redis import impostor, silence, tls_server, trickle
from tests.support import free_port

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from contextlib import AbstractAsyncContextManager
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
async def connecting(**variables: str) -> AsyncIterator[RecordCache]:
    """The cache that these variables configure."""
    settings = Settings.load({**variables, "APP_ENV": "development"})
    cache = make_cache(settings, make_logger(settings))
    assert isinstance(cache, RecordCache)
    assert isinstance(cache.store, RedisStore)
    try:
        yield cache
    finally:
        await cache.store.close()


class Cluster:
    """A cluster of one node, which speaks TLS only, and the port at which it is far away."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target

    def cache(self) -> AbstractAsyncContextManager[RecordCache]:
        address = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.port)}
        return connecting(**address, REDIS_TLS="true", REDIS_CLUSTER="true")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    far = free_port()
    options = ["--tls-cluster", "yes", "--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    options += ["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-tls-port", str(far)]
    with tls_server(tmp_path, "127.0.0.1", *options) as (server, files):
        monkeypatch.setenv("SSL_CERT_FILE", files.ca)
        server.own_all_slots()
        yield Cluster(far, server.port)


def run(cluster: Cluster, test: Coroutine[object, object, None]) -> None:
    async def behind_the_proxy() -> None:
        async with far_away(cluster.port, cluster.target):
            await test

    asyncio.run(behind_the_proxy())


@pytest.mark.usefixtures("deployed")
def test_without_connecting_first_the_first_operation_misses_its_deadline(cluster: Cluster) -> None:
    async def test() -> None:
        async with cluster.cache() as cache:
            lookup = await cache.get(SHA256, Options())
            assert (lookup.outcome, lookup.failed) == ("bypass", True)

    run(cluster, test())


@pytest.mark.usefixtures("deployed")
def test_a_cache_that_was_connected_first_answers_the_first_request(cluster: Cluster) -> None:
    async def test() -> None:
        async with cluster.cache() as cache:
            await cache.open()
            assert (await cache.get(SHA256, Options())) == ("miss", None, False)
            known = measurement()
            assert await cache.put(SHA256, known, Options())
            assert (await cache.get(SHA256, Options())) == ("hit", known, False)

    run(cluster, test())


# Longer than the bound of connecting, and than this machine can be busy.
TIMEOUT_SECONDS = 10


async def assert_given_up(cache: RecordCache) -> None:
    """Connecting ends by itself, and no failure is counted: the next request asks the cache."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await cache.open()
    assert cache.reads.allows()
    assert cache.writes.allows()


def test_a_server_that_is_not_there_is_not_waited_for_and_counts_no_failure(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with cluster.cache() as cache:
            await assert_given_up(cache)

    asyncio.run(test())
    assert "connecting the cache failed" in caplog.text


TLS_CLUSTER = {"REDIS_CLUSTER": "true", "REDIS_TLS": "true"}


@pytest.mark.parametrize(("kind", "answer"), [({}, silence), ({}, trickle), (TLS_CLUSTER, silence)])
def test_a_server_that_accepts_and_never_answers_is_given_up_and_counts_no_failure(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: dict[str, str],
    answer: Callable[[socket.socket], None],
) -> None:
    """By the bound of connecting alone: the clients' own, for one read, would end most of these sooner."""
    monkeypatch.setattr(store_module, "SOCKET_TIMEOUT_SECONDS", 10 * TIMEOUT_SECONDS)

    async def test(address: dict[str, str]) -> None:
        async with connecting(**address, **kind) as cache:
            await assert_given_up(cache)

    with impostor(answer) as address:
        asyncio.run(test(address))
    assert "connecting the cache failed" in caplog.text


def test_a_server_that_was_silent_while_it_was_connected_is_asked_again(tmp_path: Path) -> None:
    """Its late answer to the first question is not taken for the answer to another one."""

    async def test(server: RedisServer) -> None:
        async with connecting(**server.address) as cache:
            server.freeze()
            await assert_given_up(cache)
            server.thaw()
            known = measurement()
            assert (await cache.get(SHA256, Options())) == ("miss", None, False)
            assert await cache.put(SHA256, known, Options())
            assert (await cache.get(SHA256, Options())) == ("hit", known, False)

    with redis_server(tmp_path) as server:
        asyncio.run(test(server))
