"""What every answer carries: the request's id, timings, and CORS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from contract.problems import ProblemCode, ProblemError
from gateway.measuring.processor_client import Answer
from tests.gateway.driver import IMAGE, assert_problem, chunks, form, measurement, part

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from contract.invocation import Invocation
    from tests.gateway.driver import Gateway, MakeGateway

EXPOSED = {"X-Request-ID", "X-Cache", "Server-Timing", "Retry-After", "WWW-Authenticate"}
ORIGIN = "https://page.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-request-id"}

REQUESTS: dict[str, Callable[[Gateway, str], httpx.Response]] = {
    "200": lambda gateway, origin: gateway.upload(Origin=origin),
    "400": lambda gateway, origin: gateway.upload(b"", Origin=origin),
    "404": lambda gateway, origin: gateway.get("/nothing", Origin=origin),
    "405": lambda gateway, origin: gateway.get("/intensity", Origin=origin),
    "413": lambda gateway, origin: gateway.upload(bytes(2000), Origin=origin),
    "500": lambda gateway, origin: gateway.upload(b"fault", Origin=origin),
    "health": lambda gateway, origin: gateway.get("/health", Origin=origin),
}


class Faulty:
    """A processor with a bug that shows with one content only."""

    async def measure(self, invocation: Invocation) -> Answer:
        if invocation.image == b"fault":
            raise ZeroDivisionError
        return Answer(measurement())


@pytest.fixture
def small(make_gateway: MakeGateway) -> Gateway:
    return make_gateway(variables={"MAX_CONTENT_LENGTH": "1000"}, processor=Faulty())


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_answer_has_an_id_timings_and_cors(small: Gateway, kind: str) -> None:
    response = REQUESTS[kind](small, ORIGIN)
    assert str(response.status_code) == kind.replace("health", "200")
    assert str(UUID(response.headers["x-request-id"])) == response.headers["x-request-id"]
    assert re.fullmatch(r"(\w+;dur=\d+\.\d, )*total;dur=\d+\.\d", response.headers["server-timing"])
    assert response.headers["access-control-allow-origin"] == "*"
    assert set(response.headers["access-control-expose-headers"].split(", ")) == EXPOSED


@pytest.mark.parametrize("kind", REQUESTS)
def test_an_origin_of_the_list_is_let_in_and_another_is_not(make_gateway: MakeGateway, kind: str) -> None:
    origins = f"{ORIGIN}, http://localhost:8000"
    gateway = make_gateway(variables={"ALLOWED_ORIGINS": origins, "MAX_CONTENT_LENGTH": "1000"}, processor=Faulty())
    for origin in (ORIGIN, "http://localhost:8000"):
        response = REQUESTS[kind](gateway, origin)
        assert response.headers["access-control-allow-origin"] == origin
        assert "Origin" in response.headers["vary"]
    for origin in ("https://other.example", f"{ORIGIN}.evil.example", "http://page.example", "null"):
        response = REQUESTS[kind](gateway, origin)
        assert "access-control-allow-origin" not in response.headers
        assert "Origin" in response.headers["vary"]


@pytest.mark.parametrize("path", ["/intensity", "/health"])
def test_a_preflight_for_an_upload_with_an_id_of_its_own_is_answered(gateway: Gateway, path: str) -> None:
    response = gateway.request("OPTIONS", path, headers={"Origin": ORIGIN, **PREFLIGHT})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert {"GET", "POST"} <= set(response.headers["access-control-allow-methods"].split(", "))
    allowed = {name.lower() for name in response.headers["access-control-allow-headers"].split(", ")}
    assert {"content-type", "x-request-id"} <= allowed
    assert response.headers["access-control-max-age"] == "7200"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    "asked",
    [
        {"Origin": "https://other.example"},
        {"Access-Control-Request-Method": "DELETE"},
        {"Access-Control-Request-Headers": "x-other"},
    ],
)
def test_a_preflight_for_what_is_not_allowed_is_refused(make_gateway: MakeGateway, asked: dict[str, str]) -> None:
    gateway = make_gateway(variables={"ALLOWED_ORIGINS": ORIGIN})
    response = gateway.request("OPTIONS", "/intensity", headers={"Origin": ORIGIN, **PREFLIGHT, **asked})
    assert_problem(response, 400, "malformed_request")
    if "Origin" in asked:
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("callers", ["a", "x" * 128, "a1b2-C3.d_4", "..", "00000000-0000-0000-0000-000000000000"])
def test_a_well_formed_id_of_the_callers_is_kept(gateway: Gateway, callers: str) -> None:
    response = gateway.upload(X_Request_ID=callers)
    assert response.headers["x-request-id"] == callers
    assert response.json()["request_id"] == callers
    assert gateway.log("request")[0]["request_id"] == callers


@pytest.mark.parametrize(
    "callers",
    [b"", b"x" * 129, b"a b", b"a/b", b"id\n", b"id\r\nSet-Cookie: a=b", b"<b>", b"\xc3\xa9", b"\xff", b"a,b", b"a\0"],
)
def test_any_other_id_is_replaced_by_a_new_one(gateway: Gateway, callers: bytes) -> None:
    answers = [gateway.converse(chunks(form(part(IMAGE))), {"x-request-id": callers}) for _ in range(2)]
    ids = [str(UUID(answer.headers["x-request-id"])) for answer in answers]
    assert [answer.json()["request_id"] for answer in answers] == ids
    assert ids[0] != ids[1]


def test_a_cache_outcome_is_only_told_where_a_cache_was_asked(gateway: Gateway) -> None:
    assert "x-cache" not in gateway.get("/health").headers
    assert "x-cache" not in gateway.upload(b"").headers


CUT = ProblemError(ProblemCode.CORRUPT_IMAGE, "Cut short.")


@pytest.mark.parametrize("answer", [measurement(), CUT, ZeroDivisionError()])
def test_the_answer_says_where_its_time_went_with_a_measurement_or_without(gateway: Gateway, answer: Any) -> None:  # noqa: ANN401 - as in FakeProcessor
    gateway.processor.answer = answer
    response = gateway.upload()
    assert response.headers["x-cache"] == "miss"
    timings = re.findall(r"(\w+);dur", response.headers["server-timing"])
    assert timings == ["upload", "hash", "cache", "processor", "total"]


def test_the_processor_is_told_the_id_of_the_request(gateway: Gateway) -> None:
    gateway.upload(X_Request_ID="id-1")
    gateway.get("/health/ready", **{"X-Request-ID": "id-2"})
    assert [invocation.request_id for invocation in gateway.processor.invocations] == ["id-1", "id-2"]
