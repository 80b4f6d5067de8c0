"""`?detail=full` and the options, over HTTP against the real processor and an embedded cache."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING, Any

import fakeredis
import httpx
import numpy as np
import pytest

from gateway.app import create_app
from gateway.log import make_logger
from gateway.measuring.cache import RecordCache
from gateway.measuring.records import Records, name_of
from gateway.measuring.redis_store import RedisStore
from image_intensity import DECODERS, Options
from local_server.settings import LocalSettings
from tests.core.samples import encoded, pixels
from tests.gateway.driver import SECRET_KEY
from tests.local.measuring import InProcessProcessor
from tests.support import DEFAULT_FIELDS

if TYPE_CHECKING:
    from fastapi import FastAPI

IMAGE = encoded(pixels("RGBA"), "PNG")


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def app(server: fakeredis.FakeServer) -> FastAPI:
    settings = LocalSettings.load({"SECRET_KEY": SECRET_KEY})
    logger = make_logger(settings)
    cache = RecordCache(RedisStore(lambda: fakeredis.FakeAsyncRedis(server=server)), settings, logger)
    return create_app(settings, cache=cache, processor=InProcessProcessor(), logger=logger)


def post(app: FastAPI, query: str = "") -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post(f"/intensity{query}", files={"image": ("a.png", IMAGE)})

    return asyncio.run(send())


def test_full_detail_adds_statistics_histogram_and_method(app: FastAPI) -> None:
    answer: dict[str, Any] = post(app, "?detail=full").json()
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


def test_a_hit_answers_in_the_same_detail(app: FastAPI) -> None:
    first, second = post(app, "?detail=full"), post(app, "?detail=full")
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    for name in ("statistics", "histogram", "measurement", "average_intensity"):
        assert first.json()[name] == second.json()[name]
    assert post(app).headers["X-Cache"] == "hit"


def test_options_never_share_a_record(app: FastAPI) -> None:
    queries = [f"?luma={luma}&alpha={alpha}" for luma in ("bt601", "bt709", "mean") for alpha in ("ignore", "white")]
    first = [post(app, query) for query in queries]
    second = [post(app, query) for query in queries]
    assert {answer.headers["X-Cache"] for answer in first} == {"miss"}
    assert {answer.headers["X-Cache"] for answer in second} == {"hit"}
    averages = [answer.json()["average_intensity"] for answer in first]
    assert averages == [answer.json()["average_intensity"] for answer in second]
    assert len(set(averages)) == len(queries)


@pytest.mark.parametrize("comma", [",", "%2C"])
def test_a_region_is_measured_and_named(app: FastAPI, comma: str) -> None:
    whole: dict[str, Any] = post(app, "?detail=full").json()
    answer: dict[str, Any] = post(app, f"?detail=full&region={comma.join(['3', '4', '20', '17'])}").json()
    gray = np.asarray(pixels("RGBA").convert("L"))[4:21, 3:23]
    assert answer["average_intensity"] == gray.mean()
    assert answer["histogram"] == np.bincount(gray.ravel(), minlength=256).tolist()
    assert answer["statistics"]["share_black"] == (gray == 0).mean()
    assert (answer["pixel_count"], whole["pixel_count"]) == (20 * 17, 61 * 47)
    assert (answer["measurement"]["region"], whole["measurement"]["region"]) == ("3,4,20,17", None)
    for name in ("image_size", "image_size_bytes", "original_mode", "filename"):
        assert answer[name] == whole[name]


def test_regions_never_share_a_record(app: FastAPI) -> None:
    queries = ["", "?region=0,0,61,47", "?region=1,11,1,1", "?region=11,1,1,1", "?region=1,1,11,1", "?region=1,1,1,11"]
    for outcome in ("miss", "hit"):
        answers = [post(app, f"{query}{'&' if query else '?'}detail=full") for query in queries]
        assert {answer.headers["X-Cache"] for answer in answers} == {outcome}
        regions = [answer.json()["measurement"]["region"] for answer in answers]
        assert regions == [query.partition("=")[2] or None for query in queries]
        counts = [answer.json()["pixel_count"] for answer in answers]
        assert counts == [61 * 47, 61 * 47, 1, 1, 11, 11]


def test_a_region_outside_is_an_error_of_its_own_and_remembered(app: FastAPI) -> None:
    for outcome in ("miss", "hit"):
        answer = post(app, "?region=60,0,2,1")
        assert (answer.status_code, answer.headers["X-Cache"]) == (400, outcome)
        assert answer.json()["code"] == "region_outside_image"
        assert "at least 62 x 1 pixels; this one has 61 x 47" in answer.json()["detail"]
    assert post(app).status_code == post(app, "?region=60,0,1,1").status_code == 200
    assert post(app, "?region=9999999999,9999999999,9999999999,9999999999").json()["code"] == "region_outside_image"


def test_records_of_another_decoder_are_not_used(app: FastAPI, server: fakeredis.FakeServer) -> None:
    redis = fakeredis.FakeRedis(server=server)
    post(app)
    name = name_of(hashlib.sha256(IMAGE).hexdigest(), Options())
    record = redis.get(name)
    assert isinstance(record, bytes)
    signer = Records(SECRET_KEY).signer(name)
    redis.set(name, signer.sign(signer.unsign(record).replace(DECODERS["pillow"].encode(), b"12.0.0")))
    assert post(app).headers["X-Cache"] == "miss"


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
def test_an_unknown_or_repeated_option_is_an_error(app: FastAPI, query: str) -> None:
    answer = post(app, query)
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
def test_a_value_that_cannot_be_is_answered_in_a_sentence(app: FastAPI, parameter: str, value: str, what: str) -> None:
    detail = post(app, f"?{parameter}={value}").json()["detail"]
    assert detail.startswith(f"The query parameter {parameter} cannot be '{value}': {what}")
    assert detail.endswith(".")


def test_each_value_that_cannot_be_has_a_sentence(app: FastAPI) -> None:
    detail = post(app, "?luma=x&detail=all&alpha=black").json()["detail"]
    assert re.findall(r"The query parameter (\w+) cannot be '(\w+)'", detail) == [("detail", "all"), ("luma", "x")]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/intensity"), ("POST", "/uploads"), ("POST", "/jobs"), ("GET", "/jobs/any")],
)
def test_every_address_refuses_a_parameter_that_is_sent_twice(app: FastAPI, method: str, path: str) -> None:
    name = "detail=full" if method == "GET" else "luma=mean"

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request(method, f"{path}?{name}&{name}")

    answer = asyncio.run(send())
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert name.partition("=")[0] in answer.json()["detail"]
