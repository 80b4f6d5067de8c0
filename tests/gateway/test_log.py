"""What a request leaves behind: one line of JSON and one record of metrics."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis

from contract.problems import ProblemCode, ProblemError
from tests.gateway.driver import IMAGE

if TYPE_CHECKING:
    from tests.gateway.driver import Gateway, MakeGateway


def metrics(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The records of the embedded metric format on standard output, each as its values by name."""
    records = []
    for line in capsys.readouterr().out.splitlines():
        record = json.loads(line)
        [directive] = record["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "ImageIntensity"
        assert directive["Dimensions"] == [["service"]]
        assert record["service"] == "image-intensity"
        units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
        assert {unit for name, unit in units.items() if name != "ProcessorTime"} == {"Count"}
        assert units.get("ProcessorTime", "Milliseconds") == "Milliseconds"
        records.append({name: sum(record[name]) for name in units})
    return records


def test_a_request_is_one_line_with_the_documented_fields(gateway: Gateway) -> None:
    response = gateway.upload()
    [line] = gateway.log()
    assert list(line)[:4] == ["timestamp", "level", "message", "name"]
    written = datetime.fromisoformat(line["timestamp"])
    assert abs(datetime.now(written.tzinfo) - written) < timedelta(minutes=1)
    assert written.utcoffset() == timedelta(0)
    assert (line["level"], line["message"], line["name"]) == ("INFO", "request", "gateway")
    assert line["service"] == "image-intensity"
    assert line["request_id"] == response.headers["x-request-id"]
    info = line["extra_info"]
    assert info.pop("duration_ms") > 0
    assert info == {"method": "POST", "path": "/intensity", "ip": "127.0.0.1", "status_code": 200, "cache": "miss"}


def test_a_problem_is_named_in_the_line(gateway: Gateway) -> None:
    gateway.get("/nothing")
    [line] = gateway.log()
    assert line["extra_info"]["status_code"] == 404
    assert line["extra_info"]["problem"] == "not_found"
    assert line["extra_info"]["cache"] is None


def test_no_part_of_the_image_or_of_its_name_is_logged(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    content = b"very-own-content-of-the-image"
    gateway.upload(content, filename="very-own-name.png")
    gateway.processor.answer = ValueError("a fault")
    gateway.upload(content + b"!", filename="very-own-name.png")
    logged = gateway.output.getvalue() + capsys.readouterr().out
    assert "very-own" not in logged
    assert "dmVyeS1vd24" not in logged


def test_a_path_with_line_breaks_cannot_forge_a_line(gateway: Gateway) -> None:
    gateway.get("/%0A%7B%22level%22%3A%22ERROR%22%7D")
    assert len(gateway.output.getvalue().splitlines()) == 1
    assert gateway.log()[0]["extra_info"]["path"] == '/\n{"level":"ERROR"}'


def test_a_miss_is_counted_with_the_processors_time_and_a_hit_without(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.upload()
    gateway.upload()
    miss, hit = metrics(capsys)
    assert miss.pop("ProcessorTime") > 0
    assert miss == {"Requests": 1, "CacheMisses": 1}
    assert hit == {"Requests": 1, "CacheHits": 1}


def test_a_request_that_asks_no_cache_is_only_counted(
    make_gateway: MakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = make_gateway(with_cache=False)
    gateway.get("/health")
    gateway.upload()
    health, bypass = metrics(capsys)
    assert health == {"Requests": 1}
    assert list(bypass) == ["Requests", "ProcessorTime"]


@pytest.mark.parametrize(("code", "counted"), [(ProblemCode.INTERNAL_ERROR, 1), (ProblemCode.PROCESSOR_BUSY, 0)])
def test_what_rolls_back_a_deployment_counts_internal_errors_only(
    gateway: Gateway, capsys: pytest.CaptureFixture[str], code: ProblemCode, counted: int
) -> None:
    gateway.processor.answer = ProblemError(code, "It is so.")
    gateway.upload()
    [record] = metrics(capsys)
    assert record.get("InternalErrors", 0) == counted
    assert record["ProcessorTime"] > 0


def test_cache_errors_are_counted_once_an_outage_and_logged_in_one_line(
    gateway: Gateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(gateway.client, "getrange", refuse)
    outcomes = [gateway.upload(IMAGE + bytes([number])).headers["x-cache"] for number in range(4)]
    assert outcomes == ["bypass"] * 4
    assert [record.get("CacheErrors", 0) for record in metrics(capsys)] == [1, 0, 0, 0]
    warnings = [line for line in gateway.log() if line["level"] != "INFO"]
    assert len(warnings) == 1
    assert warnings[0]["level"] == "WARNING"
    assert "refused" in warnings[0]["error"]
