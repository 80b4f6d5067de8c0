"""The cache of measurements by content.

It may be absent, down, slow, full, or hold wrong records: every request is answered nevertheless.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from gateway.measuring.breaker import Breaker
from gateway.measuring.records import MAX_RECORD_BYTES, Records, Refusal, name_of
from image_intensity import Options, version

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from aws_lambda_powertools import Logger
    from redis.cluster import RedisCluster

    from gateway.measuring.outcome import CacheOutcome
    from gateway.measuring.records import Record
    from gateway.settings import Settings

    Client = redis.Redis | RedisCluster

# The most time for one operation, with name lookup and connecting. A request may lose 300 ms to a failing cache, and it
# has two operations: a read, then a write.
DEADLINE_SECONDS = 0.14
SOCKET_TIMEOUT_SECONDS = 0.1
# So many operations run at a time. Further ones wait, within their deadline.
THREADS = 16


class Lookup(NamedTuple):
    """The answer of a cache. bypass: the cache was not asked, or it did not answer. failed: it was asked and failed."""

    outcome: CacheOutcome
    record: Record | None = None
    failed: bool = False


class Cache(Protocol):
    """Measurements and refusals by the SHA-256 of the content and the options. No method raises."""

    def get(self, sha256: str, options: Options) -> Lookup:
        """Look up the content with this digest (hexadecimal)."""

    def put(self, sha256: str, record: Record, options: Options) -> bool:
        """Keep a record of the content under `options`. Returns False if the cache was asked and failed."""

    def health(self) -> Literal["ok", "off", "down"]:
        """Return whether the cache answers now."""


class NoCache:
    """The cache when none is configured."""

    def get(self, sha256: str, options: Options) -> Lookup:  # noqa: ARG002 - the Protocol's
        """Know nothing."""
        return Lookup("bypass")

    def put(self, sha256: str, record: Record, options: Options) -> bool:  # noqa: ARG002 - the Protocol's
        """Keep nothing."""
        return True

    def health(self) -> Literal["ok", "off", "down"]:
        """Be off."""
        return "off"


class RedisCache:
    """Redis, Valkey or ElastiCache, through redis-py.

    The first operation makes the client, so a dead server does not delay the start.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        settings: Settings,
        logger: Logger,
        deadline_seconds: float | None = None,
    ) -> None:
        """Keep records in the server that `connect` returns a client for.

        settings: how long records are kept, and the key that signs them. deadline_seconds: the most time for one
        operation; without it, `DEADLINE_SECONDS`.
        """
        self.deadline_seconds = DEADLINE_SECONDS if deadline_seconds is None else deadline_seconds
        self.connect = connect
        self.settings = settings
        self.records = Records(settings.secret_key.get_secret_value())
        self.client: Client | None = None
        # redis-py has a timeout for each read and write, and none for the name lookup. A thread can be left alone when
        # the deadline for everything is over.
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cache")
        self.reads = Breaker("reading the cache", logger)
        # Two breakers, because a full Redis refuses writes and still answers reads.
        self.writes = Breaker("writing the cache", logger)

    def get(self, sha256: str, options: Options) -> Lookup:
        """Return the record. A value that is not a record of ours is a miss."""
        if not self.reads.allows():
            return Lookup("bypass")
        try:
            name = name_of(sha256, options)
            # Not more than one byte over the limit: somebody may have put megabytes there.
            raw = self.run(lambda client: client.getrange(name, 0, MAX_RECORD_BYTES))
        except Exception as error:  # noqa: BLE001 - the cache is optional: the request goes on
            if "WRONGTYPE" not in str(error):
                self.reads.failed(error)
                return Lookup("bypass", failed=True)
            # Another program has put its value under our key. The cache works, and our record will replace the value.
            raw = b""
        self.reads.succeeded()
        record = self.records.read(name, raw, options)
        return Lookup("hit", record) if record else Lookup("miss")

    def put(self, sha256: str, record: Record, options: Options) -> bool:
        """Write the record with its time to live."""
        refused = isinstance(record, Refusal)
        seconds = self.settings.refusal_ttl_seconds if refused else self.settings.cache_ttl_seconds
        if not seconds or not self.writes.allows():
            return True
        try:
            # The name has the version that measured: during a deployment, the processor's may differ from this code's.
            measured_by = None if isinstance(record, Refusal) else version(record.algorithm, record.decoders)
            name = name_of(sha256, options, measured_by)
            content = self.records.write(name, record)
            # A refusal under narrow limits must not replace a measurement that was made under wide ones.
            self.run(lambda client: client.set(name, content, ex=seconds, nx=refused))
        except Exception as error:  # noqa: BLE001 - as above
            self.writes.failed(error)
            return False
        self.writes.succeeded()
        return True

    def health(self) -> Literal["ok", "off", "down"]:
        """Ask for a key that does not exist. This neither asks the breakers nor changes them."""
        try:
            self.run(lambda client: client.getrange(name_of("health", Options()), 0, 0))
        except Exception:  # noqa: BLE001 - as above
            return "down"
        return "ok"

    def run(self, command: Callable[[Client], Any]) -> Any:  # noqa: ANN401 - redis-py's own type of an answer
        """Run one command. Raises the errors of redis-py, or TimeoutError after the deadline."""
        future = self.threads.submit(self.execute, command)
        try:
            return future.result(self.deadline_seconds)
        finally:
            future.cancel()

    def execute(self, command: Callable[[Client], Any]) -> Any:  # noqa: ANN401 - as above
        """Run one command, on a worker thread."""
        self.client = self.client or self.connect()
        return command(self.client)


def make_cache(settings: Settings, logger: Logger) -> Cache:
    """Return the cache that the settings ask for. There is none without a host, or with a time to live of 0."""
    if not settings.redis_host or not settings.cache_ttl_seconds:
        return NoCache()
    # Only if there is a cache, since it takes long; and at the start, because the first operation has a deadline.
    import redis.cluster  # noqa: F401, PLC0415

    return RedisCache(lambda: connect(settings), settings, logger)


def connect(settings: Settings) -> Client:
    """Return a client for the settings. If the server has closed an idle connection, the client connects again once."""
    import redis  # noqa: PLC0415 - see make_cache
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.cluster import RedisCluster  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    password = settings.redis_password
    client = RedisCluster if settings.redis_cluster else redis.Redis
    return client(
        host=settings.redis_host,
        port=settings.redis_port,
        username=settings.redis_username,
        password=password.get_secret_value() if password else None,
        ssl=settings.redis_tls,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
        # RESP2: the newer protocol costs a round trip and has nothing that is needed here.
        protocol=2,
    )
