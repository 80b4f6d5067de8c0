"""The cache of measurements by content: it may be absent, down, slow, full or wrong, and is never in the way."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from json import dumps
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pydantic import TypeAdapter, ValidationError

from image_intensity import Measurement, Options, version

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from aws_lambda_powertools import Logger
    from redis.cluster import RedisCluster

    from gateway.http.request_log import CacheOutcome
    from gateway.settings import Settings

    Client = redis.Redis | RedisCluster

# What one operation may cost in all, connecting and name lookup included: two of them (read, then write) stay under the
# 300 ms that a request may lose to a failing cache.
DEADLINE_SECONDS = 0.14
SOCKET_TIMEOUT_SECONDS = 0.1
# How long a cache that failed is left alone. Then one request tries it again.
BREAK_SECONDS = 5.0
# More operations than this at a time wait for each other, within the deadline.
THREADS = 16

RECORD = TypeAdapter(Measurement)


class Lookup(NamedTuple):
    """The answer of a cache: bypass says that it was not asked or did not answer, `failed` that it was and did not."""

    outcome: CacheOutcome
    measurement: Measurement | None = None
    failed: bool = False


class Cache(Protocol):
    """Measurements by the SHA-256 of the content and the options. No method raises."""

    def get(self, sha256: str, options: Options) -> Lookup:
        """Return what is known of the content with this digest (hexadecimal)."""

    def put(self, sha256: str, measurement: Measurement) -> bool:
        """Keep a measurement under its options and versions. Returns False when that was tried and failed."""

    def health(self) -> Literal["ok", "off", "down"]:
        """Tell whether the cache answers just now."""


class NoCache:
    """The cache that is not configured."""

    def get(self, sha256: str, options: Options) -> Lookup:  # noqa: ARG002 - the Protocol's
        """Know nothing."""
        return Lookup("bypass")

    def put(self, sha256: str, measurement: Measurement) -> bool:  # noqa: ARG002 - the Protocol's
        """Keep nothing."""
        return True

    def health(self) -> Literal["ok", "off", "down"]:
        """Be off."""
        return "off"


class Breaker:
    """Stops asking what just failed, and lets one try through when it has rested (Nygard, "Release It!", chapter 5)."""

    def __init__(self, what: str, logger: Logger) -> None:
        """Start closed. `what` is for the log."""
        self.what = what
        self.logger = logger
        self.open_until: float | None = None
        # Requests on several threads find out at the same moment.
        self.lock = Lock()

    def allows(self) -> bool:
        """Tell whether to try; after a rest, the first who asks is the one to find out."""
        with self.lock:
            now = time.monotonic()
            if self.open_until is None:
                return True
            if now < self.open_until:
                return False
            self.open_until = now + BREAK_SECONDS
            return True

    def failed(self, error: Exception) -> None:
        """Open. One line in the log for a whole outage."""
        with self.lock:
            was_open = self.open_until is not None
            self.open_until = time.monotonic() + BREAK_SECONDS
        if not was_open:
            reason = f"{type(error).__name__}: {str(error) or 'no answer in time'}"
            self.logger.warning("%s failed; going on without", self.what, extra={"error": reason})

    def succeeded(self) -> None:
        """Close."""
        with self.lock:
            was_open = self.open_until is not None
            self.open_until = None
        if was_open:
            self.logger.info("%s works again", self.what)


class RedisCache:
    """Redis, Valkey or ElastiCache, by redis-py. The client is made at its first use: a dead one delays no start."""

    def __init__(
        self,
        connect: Callable[[], Client],
        ttl_seconds: int,
        logger: Logger,
        deadline_seconds: float | None = None,
    ) -> None:
        """Keep records for `ttl_seconds` in what `connect` returns, with a deadline of `deadline_seconds` or ours."""
        self.deadline_seconds = DEADLINE_SECONDS if deadline_seconds is None else deadline_seconds
        self.connect = connect
        self.ttl_seconds = ttl_seconds
        self.client: Client | None = None
        # redis-py's timeouts are for each read and write and leave out name lookup; a deadline on top covers all.
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cache")
        self.reads = Breaker("reading the cache", logger)
        # Of its own, because a full Redis refuses writes and still answers reads.
        self.writes = Breaker("writing the cache", logger)

    def get(self, sha256: str, options: Options) -> Lookup:
        """Return the record, if it is one of ours: garbage and other versions are a miss."""
        if not self.reads.allows():
            return Lookup("bypass")
        try:
            raw = self.run(lambda client: client.get(key(sha256, options)))
        except Exception as error:  # noqa: BLE001 - whatever fails in an optional part, the request goes on
            if "WRONGTYPE" not in str(error):
                self.reads.failed(error)
                return Lookup("bypass", failed=True)
            # Someone else's value under our key: the cache is well, and our record will replace it.
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
            # Under its own version: while a deployment is under way, the processor may be of another than this code.
            name = key(sha256, measurement.options, version(measurement.algorithm, measurement.decoders))
            self.run(lambda client: client.set(name, record, ex=self.ttl_seconds))
        except Exception as error:  # noqa: BLE001 - as above
            self.writes.failed(error)
            return False
        self.writes.succeeded()
        return True

    def health(self) -> Literal["ok", "off", "down"]:
        """Ask for a key that is not there, whatever the breaker says; the answer does not move it."""
        try:
            self.run(lambda client: client.get(key("health", Options())))
        except Exception:  # noqa: BLE001 - as above
            return "down"
        return "ok"

    def run(self, command: Callable[[Client], Any]) -> Any:  # noqa: ANN401 - redis-py's own type of an answer
        """Run one command within the deadline. Raises what redis-py raises, or TimeoutError."""
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
    """Return the key of a record: a new algorithm or decoder finds none of the old ones."""
    return f"intensity:{measured_by or version()}:{options.luma}:{options.alpha}:{sha256}"


def parse_record(raw: bytes | None, options: Options) -> Measurement | None:
    """Return the measurement in a record, or None if the record is anything else than one under `options`."""
    if raw is None:
        return None
    try:
        record = RECORD.validate_json(raw, strict=True)
    except ValidationError:
        return None
    ours = record.options == options and version(record.algorithm, record.decoders) == version()
    return record if ours else None


def make_cache(settings: Settings, logger: Logger) -> Cache:
    """Return the cache that the settings ask for: none without a host or with a time to live of 0."""
    if not settings.redis_host or not settings.cache_ttl_seconds:
        return NoCache()
    # At the start, and not within the deadline of the first request; and not at all where there is no cache.
    import redis.cluster  # noqa: F401, PLC0415

    return RedisCache(lambda: connect(settings), settings.cache_ttl_seconds, logger)


def connect(settings: Settings) -> Client:
    """Return a client for the settings. A connection that the server closed while idle is replaced at once, once."""
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
        # RESP2: the newer protocol costs a round trip and brings nothing here.
        protocol=2,
    )
