"""The cache of measurements by content.

It may be absent, down, slow, full, or hold wrong records: every request is answered nevertheless.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from json import dumps, loads
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pydantic import TypeAdapter, ValidationError

from gateway.measuring.breaker import Breaker
from gateway.measuring.completeness import has_every_field
from image_intensity import Measurement, Options, version

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from aws_lambda_powertools import Logger
    from redis.cluster import RedisCluster

    from gateway.measuring.outcome import CacheOutcome
    from gateway.settings import Settings

    Client = redis.Redis | RedisCluster

# The most time for one operation, with name lookup and connecting. A request may lose 300 ms to a failing cache, and it
# has two operations: a read, then a write.
DEADLINE_SECONDS = 0.14
SOCKET_TIMEOUT_SECONDS = 0.1
# So many operations run at a time. Further ones wait, within their deadline.
THREADS = 16

RECORD = TypeAdapter(Measurement)


class Lookup(NamedTuple):
    """The answer of a cache. bypass: the cache was not asked, or it did not answer. failed: it was asked and failed."""

    outcome: CacheOutcome
    measurement: Measurement | None = None
    failed: bool = False


class Cache(Protocol):
    """Measurements by the SHA-256 of the content and the options. No method raises."""

    def get(self, sha256: str, options: Options) -> Lookup:
        """Look up the content with this digest (hexadecimal)."""

    def put(self, sha256: str, measurement: Measurement) -> bool:
        """Keep a measurement under its options and versions. Returns False if the cache was asked and failed."""

    def health(self) -> Literal["ok", "off", "down"]:
        """Return whether the cache answers now."""


class NoCache:
    """The cache when none is configured."""

    def get(self, sha256: str, options: Options) -> Lookup:  # noqa: ARG002 - the Protocol's
        """Know nothing."""
        return Lookup("bypass")

    def put(self, sha256: str, measurement: Measurement) -> bool:  # noqa: ARG002 - the Protocol's
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
        ttl_seconds: int,
        logger: Logger,
        deadline_seconds: float | None = None,
    ) -> None:
        """Keep records for `ttl_seconds` in the server that `connect` returns a client for.

        deadline_seconds: the most time for one operation; without it, `DEADLINE_SECONDS`.
        """
        self.deadline_seconds = DEADLINE_SECONDS if deadline_seconds is None else deadline_seconds
        self.connect = connect
        self.ttl_seconds = ttl_seconds
        self.client: Client | None = None
        # redis-py has a timeout for each read and write, and none for the name lookup. A thread can be left alone when
        # the deadline for everything is over.
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cache")
        self.reads = Breaker("reading the cache", logger)
        # Two breakers, because a full Redis refuses writes and still answers reads.
        self.writes = Breaker("writing the cache", logger)

    def get(self, sha256: str, options: Options) -> Lookup:
        """Return the record. Garbage and records of other versions are a miss."""
        if not self.reads.allows():
            return Lookup("bypass")
        try:
            raw = self.run(lambda client: client.get(key(sha256, options)))
        except Exception as error:  # noqa: BLE001 - the cache is optional: the request goes on
            if "WRONGTYPE" not in str(error):
                self.reads.failed(error)
                return Lookup("bypass", failed=True)
            # Another program has put its value under our key. The cache works, and our record will replace the value.
            raw = None
        self.reads.succeeded()
        measurement = parse_record(raw, options)
        return Lookup("hit", measurement) if measurement else Lookup("miss")

    def put(self, sha256: str, measurement: Measurement) -> bool:
        """Write the record with its time to live."""
        if not self.writes.allows():
            return True
        try:
            record = dumps(asdict(measurement))
            # The key has the version that measured: during a deployment, the processor's may differ from this code's.
            name = key(sha256, measurement.options, version(measurement.algorithm, measurement.decoders))
            self.run(lambda client: client.set(name, record, ex=self.ttl_seconds))
        except Exception as error:  # noqa: BLE001 - as above
            self.writes.failed(error)
            return False
        self.writes.succeeded()
        return True

    def health(self) -> Literal["ok", "off", "down"]:
        """Ask for a key that does not exist. This neither asks the breakers nor changes them."""
        try:
            self.run(lambda client: client.get(key("health", Options())))
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


def key(sha256: str, options: Options, measured_by: str | None = None) -> str:
    """Return the key of a record. It has the version, so a new algorithm or decoder does not find the old records."""
    return f"intensity:{measured_by or version()}:{options.luma}:{options.alpha}:{sha256}"


def parse_record(raw: bytes | None, options: Options) -> Measurement | None:
    """Return the measurement in a record, or None if the record is not one of this version under `options`.

    A record of an older gateway that lacks a field is not used either: the field would have its default.
    """
    if raw is None:
        return None
    try:
        record = RECORD.validate_json(raw, strict=True)
    except ValidationError:
        return None
    ours = record.options == options and version(record.algorithm, record.decoders) == version()
    return record if ours and has_every_field(loads(raw), record) else None


def make_cache(settings: Settings, logger: Logger) -> Cache:
    """Return the cache that the settings ask for. There is none without a host, or with a time to live of 0."""
    if not settings.redis_host or not settings.cache_ttl_seconds:
        return NoCache()
    # Only if there is a cache, since it takes long; and at the start, because the first operation has a deadline.
    import redis.cluster  # noqa: F401, PLC0415

    return RedisCache(lambda: connect(settings), settings.cache_ttl_seconds, logger)


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
