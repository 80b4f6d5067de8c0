"""Two versions of the contract work together, in both directions, through the JSON that they send each other.

During a deployment, an older gateway may call a newer processor, and a newer gateway an older processor. The other
version is simulated: each has one field more, as a next version would.
"""

from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
from pydantic import BaseModel, TypeAdapter

from contract.invocation import Invocation, measurement_answer
from contract.problems import ProblemCode, ProblemError
from gateway.log import make_logger
from gateway.measuring import processor_client
from gateway.measuring import records as records_module
from gateway.measuring.cache import Cache
from gateway.measuring.processor_client import LambdaProcessor
from gateway.measuring.redis_store import RedisStore
from gateway.settings import Settings
from image_intensity import OPTIONS, Measurement, Options, Region
from processor.handler import lambda_handler
from tests.core.images import encode, noise
from tests.gateway.driver import IMAGE, Gateway, measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PNG = encode(noise("RGB", (9, 7)), "PNG")
INVOCATION = Invocation(image=PNG, allowed_formats=("PNG", "JPEG"), max_pixels=63, request_id="id-1")
LOGGER = make_logger(Settings.load({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerMeasurement(Measurement):
    """A measurement with a further field, whose default means that it is not known."""

    sharpness: float | None = None


class NewerMessage(BaseModel):
    measurement: NewerMeasurement


def processor(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> LambdaProcessor:
    """The gateway's processor, with `answer` as the function behind it."""

    class Client:
        def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: ARG002, N803 - boto3's names
            return {"Payload": io.BytesIO(json.dumps(answer(json.loads(Payload))).encode())}

    return LambdaProcessor(Client(), "processor", LOGGER)  # type: ignore[arg-type]


def handle(event: dict[str, Any]) -> dict[str, Any]:
    return lambda_handler(event, None)


def newer_handle(event: dict[str, Any]) -> dict[str, Any]:
    answer = handle(event)
    content = {**answer["measurement"], "sharpness": 0.5}
    content["statistics"] = {**content["statistics"], "kurtosis": 1.5}
    content["options"] = {**content["options"], "gamma": 1.0}
    return {"measurement": content, "seconds": 0.1}


@pytest.fixture
def newer_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway whose measurement has one field more than what the processor sends and the cache has."""
    monkeypatch.setattr(processor_client, "MESSAGE", TypeAdapter(NewerMessage))
    monkeypatch.setattr(records_module, "CONTENT", TypeAdapter(NewerMeasurement))


def test_an_older_gateway_understands_a_newer_processor() -> None:
    answer = processor(newer_handle).measure_now(INVOCATION)
    assert answer == processor(handle).measure_now(INVOCATION)
    assert answer.complete


@pytest.mark.usefixtures("newer_gateway")
def test_a_newer_gateway_understands_an_older_processor_and_knows_a_complete_answer() -> None:
    for handler, sharpness in ((handle, None), (newer_handle, 0.5)):
        answer = processor(handler).measure_now(INVOCATION)
        assert isinstance(answer.measurement, NewerMeasurement)
        assert (answer.measurement.sharpness, answer.complete) == (sharpness, handler is newer_handle)


def test_a_newer_processor_understands_an_older_gateway() -> None:
    event = INVOCATION.to_event()
    for name in (*OPTIONS, "request_id"):
        del event[name]
    assert Invocation.from_event(event) == dataclasses.replace(INVOCATION, request_id="")
    assert handle(event)["measurement"]["options"] == Options().to_json()


def test_a_region_is_named_in_the_message_and_in_the_answer() -> None:
    event = dataclasses.replace(INVOCATION, options=Options(region=Region(1, 2, 3, 4))).to_event()
    assert event["region"] == {"x": 1, "y": 2, "width": 3, "height": 4}
    answer = handle(json.loads(json.dumps(event)))["measurement"]
    assert (answer["options"]["region"], answer["pixel_count"]) == (event["region"], 12)
    assert handle({**event, "region": {**event["region"], "unit": "pixels"}})["measurement"] == answer


def test_an_older_processor_understands_a_newer_gateway() -> None:
    newer = {**INVOCATION.to_event(), "deadline": 5}
    stored = {"bucket": "bucket", "key": "uploads/1", "size": 3, "sha256": "0f" * 32}
    assert Invocation.from_event(newer) == INVOCATION
    assert handle(newer) == handle(INVOCATION.to_event())
    with_etag = {**newer, "stored": {**stored, "etag": "x"}}
    assert Invocation.from_event(with_etag) == Invocation.from_event({**newer, "stored": stored})


def ignoring(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A processor of a version that does not have this option."""

    def answer(event: dict[str, Any]) -> dict[str, Any]:
        content = handle({key: value for key, value in event.items() if key != name})["measurement"]
        options = {key: value for key, value in content["options"].items() if key != name}
        return {"measurement": {**content, "options": options}}

    return answer


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("luma", Options(luma="mean")),
        ("alpha", Options(alpha="black")),
        ("region", Options(region=Region(1, 2, 3, 4))),
        ("region", Options(region=Region(0, 0, 9, 7))),
    ],
    ids=["luma", "alpha", "region", "a region of the whole image"],
)
def test_an_option_that_an_older_processor_ignores_is_a_failure_and_no_wrong_number(
    caplog: pytest.LogCaptureFixture, name: str, options: Options
) -> None:
    asked = dataclasses.replace(INVOCATION, options=options)
    assert processor(handle).measure_now(asked).measurement.options == options
    with pytest.raises(ProblemError) as caught:
        processor(ignoring(name)).measure_now(asked)
    assert caught.value.code is ProblemCode.PROCESSOR_FAILED
    [record] = caplog.records
    assert f"asked for {options}" in vars(record)["error"]
    assert name not in caught.value.detail


@pytest.mark.parametrize("name", OPTIONS)
def test_the_default_of_an_option_that_an_older_processor_does_not_know_is_answered(name: str) -> None:
    measured = processor(ignoring(name)).measure_now(INVOCATION)
    assert measured.measurement == processor(handle).measure_now(INVOCATION).measurement
    assert not measured.complete


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def make_gateway(server: fakeredis.FakeServer) -> Iterator[Callable[..., Gateway]]:
    """Make gateways with a patient cache in one Redis."""
    made: list[Gateway] = []

    def make(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Gateway:
        store = RedisStore(lambda: fakeredis.FakeAsyncRedis(server=server), 5)
        cache = Cache(store, Settings.load({}), LOGGER)
        made.append(Gateway(cache=cache, processor=processor(answer)))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


def outcomes(gateway: Gateway, times: int = 2) -> list[str]:
    responses = [gateway.upload(PNG) for _ in range(times)]
    assert {response.status_code for response in responses} == {200}
    return [response.headers["x-cache"] for response in responses]


@pytest.mark.usefixtures("newer_gateway")
def test_an_incomplete_answer_is_given_and_not_remembered(
    make_gateway: Callable[..., Gateway], server: fakeredis.FakeServer
) -> None:
    assert outcomes(make_gateway(handle)) == ["miss", "miss"]
    assert fakeredis.FakeRedis(server=server).keys() == []
    assert outcomes(make_gateway(newer_handle)) == ["miss", "hit"]


def test_a_record_without_a_new_field_is_a_miss_and_is_replaced(
    make_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcomes(make_gateway(handle)) == ["miss", "hit"]
    monkeypatch.setattr(processor_client, "MESSAGE", TypeAdapter(NewerMessage))
    monkeypatch.setattr(records_module, "CONTENT", TypeAdapter(NewerMeasurement))
    assert outcomes(make_gateway(newer_handle)) == ["miss", "hit"]
    monkeypatch.undo()
    # A record must be exactly as this version writes it, or it is a miss.
    assert outcomes(make_gateway(handle)) == ["miss", "hit"]


DEFAULTED = [
    field.name
    for field in dataclasses.fields(Measurement)
    if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
]


@pytest.mark.parametrize("name", DEFAULTED)
def test_a_field_that_got_its_default_is_noticed(name: str) -> None:
    def answer(_: dict[str, Any]) -> dict[str, Any]:
        content = measurement_answer(measurement())["measurement"]
        del content[name]
        return {"measurement": content}

    asked = dataclasses.replace(INVOCATION, image=IMAGE)
    assert not processor(answer).measure_now(asked).complete
    assert processor(lambda _: measurement_answer(measurement())).measure_now(asked).complete


@pytest.mark.parametrize(
    "change",
    [
        *({"luma": "bt2020"}, {"luma": None}, {"alpha": 1}, {"max_pixels": "many"}, {"max_pixels": None}),
        *({"allowed_formats": None}, {"image": 7}),
        *({"region": value} for value in ("1,2,3,4", [1, 2, 3, 4], 7, {}, {"x": 1, "y": 2, "width": 3}, "", False)),
        *({"region": {"x": 0, "y": 0, "width": 1, "height": value}} for value in (0, -1, 1.0, "1", True, None)),
    ],
    ids=str,
)
def test_a_value_that_is_not_valid_is_an_error_and_no_default(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        handle({**INVOCATION.to_event(), **change})
