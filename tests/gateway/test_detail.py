"""`?detail=full` and the options, over HTTP against the real processor and an embedded cache."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import fakeredis
import httpx
import numpy as np
import pytest

from gateway.app import create_app
from gateway.log import make_logger
from gateway.measuring.cache import RedisCache
from gateway.measuring.records import Records, name_of
from image_intensity import DECODERS, Options
from local_server.processor import InProcessProcessor
from local_server.settings import LocalSettings
from tests.core.samples import encoded, pixels
from tests.support import DEFAULT_FIELDS

if TYPE_CHECKING:
    from fastapi import FastAPI

IMAGE = encoded(pixels("RGBA"), "PNG")


@pytest.fixture
def redis() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


@pytest.fixture
def app(redis: fakeredis.FakeRedis) -> FastAPI:
    settings = LocalSettings.load({})
    logger = make_logger(settings)
    cache = RedisCache(lambda: redis, settings, logger)
    return create_app(settings, cache=cache, processor=InProcessProcessor(logger), logger=logger)


def post(app: FastAPI, query: str = "") -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post(f"/intensity{query}", files={"image": ("a.png", IMAGE)})

    return asyncio.run(send())


def test_the_default_answer_is_the_eight_fields(app: FastAPI) -> None:
    assert set(post(app).json()) == set(DEFAULT_FIELDS)


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


def test_records_of_another_decoder_are_not_used(app: FastAPI, redis: fakeredis.FakeRedis) -> None:
    post(app)
    name = name_of(hashlib.sha256(IMAGE).hexdigest(), Options())
    record = redis.get(name)
    assert isinstance(record, bytes)
    signer = Records("development-only").signer(name)
    redis.set(name, signer.sign(signer.unsign(record).replace(DECODERS["pillow"].encode(), b"12.0.0")))
    assert post(app).headers["X-Cache"] == "miss"


@pytest.mark.parametrize(
    "query",
    ["?detial=full", "?detail=all", "?detail=", "?luma=bt2020", "?alpha=over", "?luma=bt601&luma=mean", "?LUMA=mean"],
)
def test_an_unknown_or_repeated_option_is_an_error(app: FastAPI, query: str) -> None:
    answer = post(app, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert query[1:].partition("=")[0] in answer.json()["detail"]


def test_the_options_are_in_the_description_of_the_api(app: FastAPI) -> None:
    document = app.openapi()
    operation = document["paths"]["/intensity"]["post"]
    assert {parameter["name"] for parameter in operation["parameters"]} == {"detail", "luma", "alpha"}
    assert "multipart/form-data" in operation["requestBody"]["content"]
    assert "FullIntensity" in document["components"]["schemas"]
