"""The cache of measurements by content.

It may be absent, down, slow, full, or hold wrong records: every request is answered nevertheless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from gateway.measuring.breaker import Breaker, told
from gateway.measuring.records import Records, Refusal, name_of
from image_intensity import Options, version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aws_lambda_powertools import Logger

    from gateway.measuring.outcome import CacheOutcome
    from gateway.measuring.records import Record
    from gateway.settings import Settings

    Connect = Callable[[], Awaitable[None]]

# What the check of the store's health keeps, and for how long.
HEALTH, HEALTH_SECONDS = b"ok", 60


class Lookup(NamedTuple):
    """The answer of a cache. bypass: the cache was not asked, or it did not answer. failed: it was asked and failed."""

    outcome: CacheOutcome
    record: Record | None = None
    failed: bool = False


class Store(Protocol):
    """Where values are kept: a Redis server, a table of DynamoDB, or a file here. A method may raise anything."""

    async def read(self, name: str) -> bytes:
        """Return the value, of which one byte more than `MAX_RECORD_BYTES` is enough; nothing if there is none."""

    async def write(self, name: str, content: bytes, seconds: int, *, replace: bool) -> bool:
        """Keep a value for some seconds, and return whether it is kept.

        replace: whether a value that is there already gives way. If not, this value is not kept.
        """


class Cache:
    """Measurements and refusals by the SHA-256 of the content and the options, as signed records in a store.

    After a failure it leaves the store alone for some seconds. No method raises.
    """

    def __init__(self, store: Store | None, settings: Settings, logger: Logger, connect: Connect | None = None) -> None:
        """Keep records in `store`; None: there is no cache.

        settings: how long records are kept, and the key that signs them. connect: connects the store ahead of the
        first request, in a few seconds at most; without it, there is nothing to connect.
        """
        self.store = store
        self.connect = connect
        self.settings = settings
        self.logger = logger
        self.records = Records(settings.secret_key.get_secret_value())
        self.reads = Breaker("reading the cache", logger)
        # Two breakers, because a full store refuses writes and still answers reads.
        self.writes = Breaker("writing the cache", logger)

    async def open(self) -> None:
        """Connect. If that fails, it counts for nothing: the first request asks the store, as it does without this."""
        if not self.connect:
            return
        try:
            await self.connect()
        except Exception as error:  # noqa: BLE001 - the cache is optional
            self.logger.warning("connecting the cache failed; going on without", extra={"error": told(error)})

    async def get(self, sha256: str, options: Options) -> Lookup:
        """Look up the content with this digest (hexadecimal). A value that is not a record of ours is a miss."""
        if not self.store or not self.reads.allows():
            return Lookup("bypass")
        name = name_of(sha256, options)
        try:
            raw = await self.store.read(name)
        except Exception as error:  # noqa: BLE001 - the cache is optional: the request goes on
            self.reads.failed(error)
            return Lookup("bypass", failed=True)
        self.reads.succeeded()
        record = self.records.read(name, raw, options)
        return Lookup("hit", record) if record else Lookup("miss")

    async def put(self, sha256: str, record: Record, options: Options) -> bool:
        """Keep a record of the content under `options`. Returns False if the store was asked and failed."""
        refused = isinstance(record, Refusal)
        seconds = self.settings.refusal_ttl_seconds if refused else self.settings.cache_ttl_seconds
        if not self.store or not seconds or not self.writes.allows():
            return True
        # The name has the version that measured: during a deployment, the processor's may differ from this code's.
        measured_by = None if isinstance(record, Refusal) else version(record.algorithm, record.decoders)
        name = name_of(sha256, options, measured_by)
        try:
            # A refusal under narrow limits must not replace a measurement that was made under wide ones.
            await self.store.write(name, self.records.write(name, record), seconds, replace=not refused)
        except Exception as error:  # noqa: BLE001 - as above
            self.writes.failed(error)
            return False
        self.writes.succeeded()
        return True

    async def health(self) -> Literal["ok", "off", "down"]:
        """Write a value and read it: a replica would only answer reads. No breaker is asked or changed."""
        if not self.store:
            return "off"
        name = name_of("health", Options())
        try:
            await self.store.write(name, HEALTH, HEALTH_SECONDS, replace=True)
            kept = await self.store.read(name)
        except Exception:  # noqa: BLE001 - as above
            return "down"
        return "ok" if kept == HEALTH else "down"


def make_cache(settings: Settings, logger: Logger) -> Cache:
    """Return the cache that the settings ask for. It keeps nothing without a host, or with a time to live of 0."""
    if not settings.redis_host or not settings.cache_ttl_seconds:
        return Cache(None, settings, logger)
    # Only if there is a cache, since it takes long; and at the start, because the first operation has a deadline.
    from gateway.measuring.redis_store import RedisStore, connect  # noqa: PLC0415

    store = RedisStore(lambda: connect(settings))
    return Cache(store, settings, logger, store.open)
