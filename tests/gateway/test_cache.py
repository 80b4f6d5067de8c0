"""The cache that is absent, down, slow, full or wrong: the request is answered, and one line of the log says so."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import redis

from gateway.measuring import breaker as breaker_module
from gateway.measuring import redis_store as store_module
from gateway.measuring.breaker import Breaker
from gateway.measuring.cache import Lookup, make_cache
from gateway.measuring.records import MAX_RECORD_BYTES, Records
from gateway.measuring.redis_store import CONNECTIONS, RedisStore, connect
from gateway.settings import Settings
from image_intensity import Options, Region, version
from tests.gateway.driver import CONTENT_TYPE, IMAGE, SECRET_KEY, Gateway, form, measurement, part

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.driver import MakeGateway

# Regions that were not asked for, and one that is no JSON of ours.
REGIONS: tuple[Any, ...] = ({"x": 0, "y": 0, "width": 3, "height": 2}, "0,0,3,2")
KEY = f"intensity:{version()}:{Options().key()}:{sha256(IMAGE).hexdigest()}"
RECORD = asdict(measurement())
# A request may lose this much time to a failing cache.
ALLOWANCE_SECONDS = 0.3


def outcome(gateway: Gateway, content: bytes = IMAGE) -> str:
    """The header X-Cache of an upload, which must be answered in every case."""
    response = gateway.upload(content)
    assert response.status_code == 200
    assert response.json()["average_intensity"] == 100 / 3
    return str(response.headers["x-cache"])


def breaker_lines(gateway: Gateway) -> list[str]:
    return [line["message"] for line in gateway.log() if line["message"] != "request"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the breaker. The test sets it by the only item of the list."""
    now = [1000.0]

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    monkeypatch.setattr(breaker_module, "time", Clock)
    return now


def record(**different: Any) -> bytes:  # noqa: ANN401 - any value that JSON has
    return json.dumps({**RECORD, **different}, separators=(",", ":")).encode()


def signed(content: bytes, name: str = KEY, secret: str = SECRET_KEY) -> bytes:
    """A record as only those who know the secret can make it."""
    return Records(secret).signer(name).sign(content)


def test_a_good_record_is_a_hit(gateway: Gateway) -> None:
    gateway.redis.set(KEY, signed(record()))
    assert outcome(gateway) == "hit"


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        record()[:-1],
        record(algorithm="0"),
        record(algorithm=1),
        record(average_intensity=float("nan")),
        record(average_intensity=float("inf")),
        record(average_intensity=255.0000001),
        record(average_intensity=-0.1),
        record(average_intensity="33.3"),
        record(average_intensity=None),
        record(average_intensity=10**400),
        record().replace(b"[3,2]", b"[1" + b"0" * 5000 + b",2]"),
        record(image_format="GIF"),
        record(image_size=[3]),
        record(image_size=[2, 2]),
        record(image_size=[-3, -2]),
        record(image_size=[0, 2], pixel_count=0),
        record(pixel_count=7),
        record(pixel_count="6"),
        record(image_size_bytes=-1),
        record(frames=-1),
        record(bit_depth=99),
        record(histogram=(-1, *RECORD["histogram"][1:])),
        record(options=Options(luma="mean").to_json()),
        *(record(options={**Options().to_json(), "region": region}) for region in REGIONS),
        record(options={name: value for name, value in Options().to_json().items() if name != "region"}),
        record().replace(b'"pixel_count":6', b'"pixel_count":7,"pixel_count":8,"pixel_count":6'),
        record(original_mode=None),
        json.dumps({name: value for name, value in RECORD.items() if name != "pixel_count"}).encode(),
    ],
)
def test_a_record_that_is_not_ours_is_a_miss_and_is_replaced(gateway: Gateway, garbage: bytes) -> None:
    for value in (garbage, signed(garbage)):
        gateway.redis.set(KEY, value)
        assert [outcome(gateway), outcome(gateway)] == ["miss", "hit"]
    assert breaker_lines(gateway) == []


def test_a_record_that_anybody_could_have_written_is_a_miss(gateway: Gateway) -> None:
    other = KEY[:-1] + ("0" if KEY[-1] != "0" else "1")
    whole = signed(record(average_intensity=1.0))
    for forged in (
        record(average_intensity=1.0),
        record(average_intensity=1.0) + b".",
        signed(record(average_intensity=1.0), name=other),
        signed(record(average_intensity=1.0), secret="another"),
        whole.replace(b"1.0", b"2.0"),
        whole[:-1],
        # Valid, and longer than any record of ours.
        signed(record(original_mode="x" * 10_000_000)),
    ):
        gateway.redis.set(KEY, forged)
        assert outcome(gateway) == "miss"
        assert outcome(gateway) == "hit"


def test_no_more_of_a_long_value_is_read_than_a_record_may_have(gateway: Gateway) -> None:
    gateway.redis.set(KEY, b"x" * 10_000_000)
    lengths = []
    getrange = gateway.client.getrange

    async def noted(*where: Any) -> bytes:  # noqa: ANN401 - redis-py's
        content: bytes = await getrange(*where)
        lengths.append(len(content))
        return content

    gateway.client.getrange = noted
    assert outcome(gateway) == "miss"
    assert lengths == [MAX_RECORD_BYTES + 1]


def test_the_longest_measurement_fits_a_record() -> None:
    longest = measurement(
        image_size=(10**8, 2),
        pixel_count=2 * 10**8,
        histogram=(2 * 10**8 * 255,) * 256,
        original_mode="I;16",
        average_intensity=100 / 3,
    )
    assert len(Records("secret").write("name", longest)) < MAX_RECORD_BYTES / 2


def test_a_limit_on_pixels_is_for_the_image_of_a_record_and_not_for_its_region(
    gateway: Gateway, make_gateway: MakeGateway
) -> None:
    narrow = make_gateway(server=gateway.server, variables={"MAX_IMAGE_PIXELS": "5"})
    expected = {gateway: ["miss", "hit"], narrow: ["miss", "miss"]}
    for one, outcomes in expected.items():
        one.processor.answer = measurement(options=Options(region=Region(0, 0, 1, 1)), pixel_count=1)
        path, headers = "/intensity?region=0,0,1,1", {"Content-Type": CONTENT_TYPE}
        answers = [one.request("POST", path, content=form(part()), headers=headers) for _ in outcomes]
        assert [answer.headers["x-cache"] for answer in answers] == outcomes


def test_a_key_of_another_type_costs_its_own_image_only_and_is_replaced(gateway: Gateway) -> None:
    gateway.redis.lpush(KEY, "x")
    assert outcome(gateway) in {"miss", "bypass"}
    assert outcome(gateway, IMAGE + b"another") == "miss"
    assert outcome(gateway) == "hit"


@pytest.mark.parametrize("variables", [{}, {"REDIS_HOST": "redis", "CACHE_TTL_SECONDS": "0"}])
def test_without_a_host_or_a_time_to_live_there_is_no_cache(gateway: Gateway, variables: dict[str, str]) -> None:
    assert make_cache(Settings.load(variables), gateway.logger).store is None


def test_with_a_host_there_is_a_cache_that_connects_only_when_it_is_used(gateway: Gateway) -> None:
    cache = make_cache(Settings.load({"REDIS_HOST": "redis.invalid"}), gateway.logger)
    assert isinstance(cache.store, RedisStore)
    assert cache.store.client is None


class Failing:
    """Makes operations of a client fail, and counts how often they are tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, client: Any, operation: str, error: Exception) -> None:  # noqa: ANN401
        self.error: Exception | None = error
        self.calls = 0
        whole = getattr(client, operation)

        async def call(*args: object, **options: object) -> object:
            self.calls += 1
            if self.error:
                raise self.error
            return await whole(*args, **options)

        monkeypatch.setattr(client, operation, call)


def test_the_breaker_opens_at_the_first_failure_and_lets_one_through_after_its_rest(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    reads = Failing(monkeypatch, gateway.client, "getrange", redis.ConnectionError("refused"))
    assert [outcome(gateway) for _ in range(3)] == ["bypass"] * 3
    assert reads.calls == 1
    # Half a second, then twice as long after each failure, and 5 s at most.
    for calls, rest in enumerate([0.5, 1, 2, 4, 5, 5], start=2):
        clock[0] += rest - 0.1
        assert outcome(gateway) == "bypass"
        assert reads.calls == calls - 1
        clock[0] += 0.2
        assert [outcome(gateway) for _ in range(3)] == ["bypass"] * 3
        assert reads.calls == calls
    reads.error = None
    clock[0] += 5.1
    assert [outcome(gateway), outcome(gateway)] == ["miss", "hit"]
    # The next outage begins with a short rest again.
    reads.error = redis.ConnectionError("refused")
    assert outcome(gateway) == "bypass"
    reads.error = None
    clock[0] += 0.6
    assert outcome(gateway) == "hit"
    outage = ["reading the cache failed; going on without", "reading the cache works again"]
    assert breaker_lines(gateway) == outage * 2


def test_while_one_finds_out_the_others_go_on_without(gateway: Gateway, clock: list[float]) -> None:
    breaker = Breaker("it", gateway.logger)
    breaker.failed(ValueError())
    clock[0] += 5
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def asked_at_once(gateway: Gateway, requests: int) -> list[Lookup]:
    """What the cache answers to so many requests at the same time."""

    async def ask() -> list[Lookup]:
        return await asyncio.gather(*(gateway.redis_cache.get("0", Options()) for _ in range(requests)))

    return gateway.run(ask())


def test_an_outage_that_many_requests_meet_at_once_is_one_line(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        await asyncio.sleep(0.02)
        raise redis.ConnectionError

    monkeypatch.setattr(gateway.client, "getrange", fail)
    assert asked_at_once(gateway, 40) == [Lookup("bypass", failed=True)] * 40
    assert breaker_lines(gateway) == ["reading the cache failed; going on without"]


async def hang(*_: object, **__: object) -> None:
    """Never return, as a server or a name lookup sometimes does not."""
    await asyncio.Event().wait()


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


# A busy machine makes one attempt slow. A broken deadline makes all of them slow.
ATTEMPTS = 3


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("operation", ["getrange", "set"])
def test_a_cache_that_hangs_costs_one_request_no_more_than_the_allowance_and_the_next_nothing(
    make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    first, second, usual = [], [], []
    for _ in range(ATTEMPTS):
        gateway = make_gateway()
        outcome(gateway, b"warm up")
        usual.append(timed(partial(outcome, gateway, b"usual")))
        monkeypatch.setattr(gateway.client, operation, hang)
        first.append(timed(partial(outcome, gateway)))
        second.append(timed(partial(outcome, gateway)))
        assert len(breaker_lines(gateway)) == 1
    assert store_module.DEADLINE_SECONDS * 0.9 < min(first) < min(usual) + ALLOWANCE_SECONDS
    assert min(second) < min(usual) + store_module.DEADLINE_SECONDS / 2


@pytest.mark.usefixtures("deployed")
def test_reading_and_writing_together_stay_within_the_allowance() -> None:
    assert 2 * store_module.DEADLINE_SECONDS < ALLOWANCE_SECONDS


@pytest.mark.usefixtures("deployed")
def test_more_requests_than_connections_all_come_back_from_a_cache_that_hangs(
    make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowest = []
    for _ in range(ATTEMPTS):
        gateway = make_gateway()
        monkeypatch.setattr(gateway.client, "getrange", hang)
        slowest.append(timed(partial(asked_at_once, gateway, 3 * CONNECTIONS)))
        assert len(breaker_lines(gateway)) == 1
    assert min(slowest) < ALLOWANCE_SECONDS


def test_no_more_connections_are_open_than_there_are_turns(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[int] = [0]
    getrange = gateway.client.getrange

    async def counted(*where: object) -> object:
        running.append(running[-1] + 1)
        await asyncio.sleep(0.001)
        running.append(running[-1] - 1)
        return await getrange(*where)

    monkeypatch.setattr(gateway.client, "getrange", counted)
    assert {lookup.outcome for lookup in asked_at_once(gateway, 3 * CONNECTIONS)} == {"miss"}
    assert max(running) == CONNECTIONS


@pytest.fixture
def constructed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options that the clients of redis-py are made with. Nothing connects."""
    made: dict[str, Any] = {}

    def construct(kind: str) -> Callable[..., object]:
        return lambda **options: made.update(kind=kind, **options)

    monkeypatch.setattr(store_module, "Redis", construct("one server"))
    monkeypatch.setattr(store_module, "RedisCluster", construct("cluster"))
    return made


WITH_ALL = {
    "REDIS_HOST": "redis.example", "REDIS_PORT": "6380", "REDIS_TLS": "true", "REDIS_USERNAME": "me",
    "REDIS_PASSWORD": "secret",
}  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (WITH_ALL, ("one server", "redis.example", 6380, True, "me", "secret")),
        ({"REDIS_HOST": "redis.example"}, ("one server", "redis.example", 6379, False, None, None)),
        ({**WITH_ALL, "REDIS_CLUSTER": "true"}, ("cluster", "redis.example", 6380, True, "me", "secret")),
    ],
)
def test_a_connection_is_made_with_what_the_settings_say(
    constructed: dict[str, Any], variables: dict[str, str], expected: tuple[object, ...]
) -> None:
    connect(Settings.load(variables))
    assert tuple(constructed[name] for name in ("kind", "host", "port", "ssl", "username", "password")) == expected


@pytest.mark.usefixtures("deployed")
def test_sockets_time_out_within_the_deadline_and_connecting_ahead_may_take_longer(constructed: dict[str, Any]) -> None:
    connect(Settings.load({"REDIS_HOST": "redis.example"}))
    assert 0 < constructed["socket_timeout"] <= store_module.DEADLINE_SECONDS
    # Within a request, the deadline ends it.
    assert constructed["socket_connect_timeout"] == store_module.CONNECT_SECONDS


def test_readiness_asks_the_cache_while_the_breaker_is_open(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.processor.answer = measurement(average_intensity=127.0)
    assert gateway.get("/health/ready").json() == {"status": "ready", "cache": "ok", "processor": "ok"}
    reads = Failing(monkeypatch, gateway.client, "getrange", redis.ConnectionError("refused"))
    response = gateway.get("/health/ready")
    assert (response.status_code, response.json()["cache"]) == (200, "down")
    reads.error = None
    assert gateway.get("/health/ready").json()["cache"] == "ok"
    assert breaker_lines(gateway) == []


def test_readiness_without_a_cache_says_off(make_gateway: MakeGateway) -> None:
    assert make_gateway(with_cache=False).get("/health/ready").json()["cache"] == "off"
