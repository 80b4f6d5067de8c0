"""How many requests a key and an address may make, counted in Redis or, without one, in each worker."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage, RedisClusterStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from gateway.measuring.breaker import Breaker
from local_server.settings import OFF

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from limits.aio.storage import Storage

    from local_server.settings import LocalSettings

# A request loses at most this much to a Redis that does not answer. Then nothing is counted for some seconds. The cache
# has less: on a busy machine, a short deadline would end the limits just when they are needed.
DEADLINE_SECONDS = 1
# Who has one IPv6 address has at least the network of this many bits (RFC 6177), and could come from all of it.
IPV6_NETWORK_BITS = 64


def parse_rates(text: str, workers: int = 1) -> list[RateLimitItem]:
    """Return the limits in `10/second;10000/day`: a worker's share of each, shortest first. Raises ValueError."""
    limits = [] if text == OFF else sorted(parse_many(text), key=RateLimitItem.get_expiry)
    return [type(each)(math.ceil(each.amount / workers), each.multiples) for each in limits]


class RateLimits:
    """The limits, and who has used how much of them. If the requests cannot be counted, everyone may enter."""

    def __init__(self, settings: LocalSettings, logger: Logger) -> None:
        storage = redis_storage(settings) if settings.redis_host else MemoryStorage()
        workers = 1 if settings.redis_host else settings.workers or 1
        self.limiter = FixedWindowRateLimiter(storage)
        self.per_key = parse_rates(settings.rate_limit_per_key if settings.api_keys else OFF, workers)
        self.per_address = parse_rates(settings.rate_limit_per_address, workers)
        self.breaker = Breaker("counting requests", logger)

    async def seconds_to_wait(self, key: str | None, address: str) -> int:
        """Count one request. Return 0 if it may enter, else for how long not. key: the name of the sender's key."""
        seconds = 0
        if self.breaker.allows():
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    seconds = await self.count(key, address)
                self.breaker.succeeded()
            except Exception as error:  # noqa: BLE001 - the request goes on, and the breaker logs it
                self.breaker.failed(error)
        return seconds

    async def count(self, key: str | None, address: str) -> int:
        """Count one request, as `seconds_to_wait` does. A request that is refused counts in no longer window."""
        limits = [(limit, "address", network_of(address)) for limit in self.per_address]
        limits += [(limit, "key", key) for limit in self.per_key if key]
        for limit, kind, name in limits:
            if not await self.limiter.hit(limit, kind, name):
                window = await self.limiter.get_window_stats(limit, kind, name)
                return max(1, math.ceil(window.reset_time - time.time()))
        return 0


def network_of(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the network of an IPv6 address."""
    # A Unix socket has none.
    with suppress(ValueError):
        parsed = ip_address(address)
        if isinstance(parsed, IPv6Address):
            return str(parsed.ipv4_mapped or ip_network((int(parsed), IPV6_NETWORK_BITS), strict=False))
    return address


def redis_storage(settings: LocalSettings) -> Storage:
    """Return the counters in the Redis or Valkey of the settings. It connects when it is first used."""
    password = settings.redis_password
    options: dict[str, Any] = {
        "implementation": "redispy",
        "username": settings.redis_username,
        "password": password.get_secret_value() if password else None,
        # As the cache has it: a connection to what has become a replica is closed, and a new one is tried.
        "retry": Retry(NoBackoff(), 1, (RedisConnectionError, ReadOnlyError)),
    }
    address = f"{settings.redis_host}:{settings.redis_port}"
    if settings.redis_cluster:
        return RedisClusterStorage(f"async+redis+cluster://{address}", ssl=settings.redis_tls, **options)
    return RedisStorage(f"async+redis{'s' if settings.redis_tls else ''}://{address}", **options)
