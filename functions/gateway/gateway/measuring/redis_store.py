"""Redis, Valkey or ElastiCache as the store of the cache, through redis-py's asyncio clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from gateway.measuring.records import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.settings import Settings

    Client = Redis | RedisCluster

# The most time for one operation, with name lookup and connecting. A request may lose 300 ms to a failing cache, and it
# has two operations: a read, then a write.
DEADLINE_SECONDS = 0.14
SOCKET_TIMEOUT_SECONDS = 0.1
# The most time for connecting ahead of the first request, and for one connection: TLS takes several round trips.
CONNECT_SECONDS = 2.0
# So many operations run at a time, each on a connection of its own. Further ones wait, within their deadline.
CONNECTIONS = 16


class RedisStore:
    """A Redis server or cluster. `open` makes the client, or else the first operation.

    Connections belong to the event loop that opened them: all operations must run on one loop.
    """

    def __init__(self, connect: Callable[[], Client], deadline_seconds: float | None = None) -> None:
        """Keep values in the server that `connect` returns a client for.

        deadline_seconds: the most time for one operation; without it, `DEADLINE_SECONDS`.
        """
        self.connect = connect
        self.deadline_seconds = DEADLINE_SECONDS if deadline_seconds is None else deadline_seconds
        self.client: Client | None = None
        self.semaphore = asyncio.Semaphore(CONNECTIONS)

    async def open(self) -> None:
        """Connect to the server, or to each primary of the cluster. Raises redis-py's errors, or TimeoutError.

        The first operation of a cluster takes two connections with TLS and AUTH, CLUSTER SLOTS and COMMAND. If the
        cluster is some milliseconds away, that does not fit into the deadline of an operation.
        """
        client = self.connected()
        async with asyncio.timeout(CONNECT_SECONDS):
            if isinstance(client, RedisCluster):
                await client.ping(target_nodes=RedisCluster.PRIMARIES)
            else:
                await client.ping()

    async def read(self, name: str) -> bytes:
        """Return at most one byte more than a record may have. Raises redis-py's errors, or TimeoutError."""
        async with asyncio.timeout(self.deadline_seconds), self.semaphore:
            try:
                # Somebody may have put megabytes there.
                content = await self.connected().getrange(name, 0, MAX_RECORD_BYTES)
            except ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
                # Another program has put its value under our key. The server works, and our record will replace it.
                return b""
        # What is no Redis may answer anything. An answer that is no value is none of ours.
        return content if isinstance(content, bytes) else b""

    async def write(self, name: str, content: bytes, seconds: int, *, replace: bool) -> bool:
        """Keep a value for some seconds, and return whether it is kept. Raises redis-py's errors, or TimeoutError."""
        async with asyncio.timeout(self.deadline_seconds), self.semaphore:
            return bool(await self.connected().set(name, content, ex=seconds, nx=not replace))

    async def close(self) -> None:
        if self.client:
            await self.client.aclose()

    def connected(self) -> Client:
        self.client = self.client or self.connect()
        return self.client


def connect(settings: Settings) -> Client:
    """Return a client for the settings.

    It closes a connection that the server has closed, or that leads to what has become a replica since a failover, and
    tries once more on a new one: by then the name may lead to another server.
    """
    password = settings.redis_password
    client = RedisCluster if settings.redis_cluster else Redis
    return client(
        host=settings.redis_host,
        port=settings.redis_port,
        username=settings.redis_username,
        password=password.get_secret_value() if password else None,
        ssl=settings.redis_tls,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        # An operation has its own, shorter deadline.
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 1, (RedisConnectionError, ReadOnlyError)),
        # RESP2: the newer protocol costs a round trip and has nothing that is needed here.
        protocol=2,
    )
