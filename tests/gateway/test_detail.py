"""`?detail=full` and the options, over HTTP against the real processor and an embedded cache."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gateway.measuring.records import Records, name_of
from image_intensity import DECODERS, Options
from tests.core.samples import encoded, pixels
from tests.gateway.driver import CONTENT_TYPE, SECRET_KEY, form, part
from tests.local.measuring import InProcessProcessor
from tests.support import DEFAULT_FIELDS

if TYPE_CHECKING:
    import httpx

    from tests.gateway.driver import Gateway, MakeGateway

IMAGE = encoded(pixels("RGBA"), "PNG")


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> Gateway:
    return make_gateway(processor=InProcessProcessor())


def post(gateway: Gateway, query: str = "", path: str = "/intensity") -> httpx.Response:
    headers = {"Content-Type": CONTENT_TYPE}
    return gateway.request("POST", f"{path}{query}", content=form(part(IMAGE)), headers=headers)


def test_full_detail_adds_statistics_histogram_and_method(gateway: Gateway) -> None:
    first, second = post(gateway, "?detail=full"), post(gateway, "?detail=full")
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    answer: dict[str, Any] = first.json()
    gray = np.asarray(pixels("RGBA").convert("L"))
    assert set(answer) == set(DEFAULT_FIELDS) | {"statistics", "histogram", "measurement"}
    assert answer["histogram"] == np.bincount(gray.ravel(), minlength=256).tolist()
    assert answer["statistics"]["median"] == np.median(gray)
    assert answer["statistics"]["percentiles"].keys() == {"1", "5", "25", "75", "95", "99"}
    method = answer["measurement"]
    assert method["sha256"] == hashlib.sha256(IMAGE).hexdigest()
    assert method["luma_weights"] == [19595 / 65536, 38470 / 65536, 7471 / 65536]
    assert {name: method["decoders"][name] for name in DECODERS} == DECODERS
    assert (method["frame"], method["frames"], method["bit_depth"], method["alpha"]) == (0, 1, 8, "ignore")
    # A hit says the same.
    changing = {"duration_ms": 0, "request_id": ""}
    assert answer | changing == second.json() | changing
    assert post(gateway).headers["X-Cache"] == "hit"


LUMAS, ALPHAS = ("bt601", "bt709", "mean"), ("ignore", "white")
REGIONS = {"0,0,61,47": 61 * 47, "1,11,1,1": 1, "11,1,1,1": 1, "1,1,11,1": 11, "1,1,1,11": 11}


@pytest.mark.parametrize(
    "queries",
    [[f"luma={luma}&alpha={alpha}" for luma in LUMAS for alpha in ALPHAS], [f"region={region}" for region in REGIONS]],
    ids=["options", "regions"],
)
def test_options_never_share_a_record(gateway: Gateway, queries: list[str]) -> None:
    first, second = ([post(gateway, f"?{query}&detail=full") for query in queries] for _ in range(2))
    assert {answer.headers["X-Cache"] for answer in first} == {"miss"}
    assert {answer.headers["X-Cache"] for answer in second} == {"hit"}
    averages = [answer.json()["average_intensity"] for answer in first]
    assert averages == [answer.json()["average_intensity"] for answer in second]
    assert len(set(averages)) == len(queries)
    for query, answer in zip(queries, second, strict=True):
        method = answer.json()["measurement"]
        assert query in {f"luma={method['luma']}&alpha={method['alpha']}", f"region={method['region']}"}
        assert answer.json()["pixel_count"] == REGIONS.get(query.partition("=")[2], 61 * 47)


@pytest.mark.parametrize("comma", [",", "%2C"])
def test_a_region_is_measured_and_named(gateway: Gateway, comma: str) -> None:
    whole: dict[str, Any] = post(gateway, "?detail=full").json()
    answer: dict[str, Any] = post(gateway, f"?detail=full&region={comma.join(['3', '4', '20', '17'])}").json()
    gray = np.asarray(pixels("RGBA").convert("L"))[4:21, 3:23]
    assert answer["average_intensity"] == gray.mean()
    assert answer["histogram"] == np.bincount(gray.ravel(), minlength=256).tolist()
    assert answer["statistics"]["share_black"] == (gray == 0).mean()
    assert (answer["pixel_count"], whole["pixel_count"]) == (20 * 17, 61 * 47)
    assert (answer["measurement"]["region"], whole["measurement"]["region"]) == ("3,4,20,17", None)
    for name in ("image_size", "image_size_bytes", "original_mode", "filename"):
        assert answer[name] == whole[name]


def test_a_region_outside_is_an_error_of_its_own_and_remembered(gateway: Gateway) -> None:
    for outcome in ("miss", "hit"):
        answer = post(gateway, "?region=60,0,2,1")
        assert (answer.status_code, answer.headers["X-Cache"]) == (400, outcome)
        assert answer.json()["code"] == "region_outside_image"
        assert "at least 62 x 1 pixels; this one has 61 x 47" in answer.json()["detail"]
    assert post(gateway).status_code == post(gateway, "?region=60,0,1,1").status_code == 200
    assert post(gateway, "?region=9999999999,9999999999,9999999999,9999999999").json()["code"] == "region_outside_image"


def test_records_of_another_decoder_are_not_used(gateway: Gateway) -> None:
    post(gateway)
    name = name_of(hashlib.sha256(IMAGE).hexdigest(), Options())
    record = gateway.redis.get(name)
    assert isinstance(record, bytes)
    signer = Records(SECRET_KEY).signer(name)
    gateway.redis.set(name, signer.sign(signer.unsign(record).replace(DECODERS["pillow"].encode(), b"12.0.0")))
    assert post(gateway).headers["X-Cache"] == "miss"


@pytest.mark.parametrize(
    "query",
    [
        "?detial=full",
        "?detail=all",
        "?detail=",
        "?luma=bt2020",
        "?alpha=over",
        "?luma=bt601&luma=mean",
        "?LUMA=mean",
        "?region=",
        "?region=1,2,3",
        "?region=+1,2,3,4",
        "?region=1,2,3,0",
        "?region=1e3,0,1,1",
        "?region=%d9%a1,0,1,1",
        "?region=-0,0,1,1",
        "?region=1,%202,3,4",
        "?region=1,2,3,4%0A",
        "?region=1,2,3,4&region=1,2,3,4",
        "?region=01,2,3,4",
        "?region=12345678901,0,1,1",
        "?Region=1,2,3,4&region=1,2,3,4",
        "?region=1.0,2,3,4",
        "?region[]=1,2,3,4",
    ],
)
def test_an_unknown_or_repeated_option_is_an_error(gateway: Gateway, query: str) -> None:
    answer = post(gateway, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert query[1:].partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize(
    ("parameter", "value", "what"),
    [
        ("detail", "", "it may be 'full', or left out."),
        ("luma", "x", "it may be 'bt601', 'bt709' or 'mean', or left out."),
        ("alpha", "", "it may be 'ignore', 'weight', 'black' or 'white', or left out."),
        ("region", "1,2", "a region is x,y,width,height: whole numbers, "),
    ],
)
def test_a_value_that_cannot_be_is_answered_in_a_sentence(
    gateway: Gateway, parameter: str, value: str, what: str
) -> None:
    detail = post(gateway, f"?{parameter}={value}").json()["detail"]
    assert detail.startswith(f"The query parameter {parameter} cannot be '{value}': {what}")
    assert detail.endswith(".")


def test_each_value_that_cannot_be_has_a_sentence(gateway: Gateway) -> None:
    detail = post(gateway, "?luma=x&detail=all&alpha=black").json()["detail"]
    assert re.findall(r"The query parameter (\w+) cannot be '(\w+)'", detail) == [("detail", "all"), ("luma", "x")]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/intensity"), ("POST", "/uploads"), ("POST", "/jobs"), ("GET", "/jobs/any")],
)
def test_every_address_refuses_a_parameter_that_is_sent_twice(gateway: Gateway, method: str, path: str) -> None:
    name = "detail=full" if method == "GET" else "luma=mean"
    answer = gateway.request(method, f"{path}?{name}&{name}")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert name.partition("=")[0] in answer.json()["detail"]
