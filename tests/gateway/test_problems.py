"""What goes wrong outside of the form: unknown paths and methods, the processor, faults, clients that go away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from tests.gateway.driver import CONTENT_TYPE, IMAGE, Gateway, assert_problem, form, measurement, part

if TYPE_CHECKING:
    from starlette.types import Message

    from gateway.measuring.cache import Lookup
    from image_intensity import Options
    from tests.gateway.driver import MakeGateway

SECRET = "the-inside-of-the-service"


@pytest.mark.parametrize(
    "path", ["/nothing", "/intensity/x", "/uploads/", "/Intensity", "/%00", "/%FF%0A", "//", "/..%2f"]
)
def test_an_unknown_path_is_not_found(gateway: Gateway, path: str) -> None:
    assert_problem(gateway.get(path), 404, "not_found")
    assert_problem(gateway.request("POST", path, content=b"x"), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "allowed", "methods"),
    [
        ("/intensity", "POST", ["GET", "PUT", "DELETE", "OPTIONS", "BREW"]),
        ("/health", "GET", ["POST"]),
        ("/health/ready", "GET", ["POST"]),
        ("/docs", "GET", ["POST"]),
        ("/docs/start.js", "GET", ["POST"]),
        ("/openapi.json", "GET", ["POST"]),
    ],
)
def test_a_method_that_a_path_does_not_take_is_told_the_one_that_it_does(
    gateway: Gateway, path: str, allowed: str, methods: list[str]
) -> None:
    for method in methods:
        response = gateway.request(method, path)
        detail = assert_problem(response, 405, "method_not_allowed")["detail"]
        assert detail == f"{method} is not allowed at {path}. It takes {allowed}."
        assert response.headers["allow"] == {"GET": "GET, HEAD", "POST": "POST"}[allowed]


def test_a_slash_at_the_end_of_the_address_does_no_harm(gateway: Gateway) -> None:
    body, headers = form(part()), {"Content-Type": CONTENT_TYPE}
    response = gateway.request("POST", "/intensity/?detail=full", content=body, headers=headers)
    assert response.status_code == 200
    assert response.json()["measurement"]["luma"] == "bt601"
    assert gateway.request("GET", "/intensity/").headers["allow"] == "POST"


@pytest.mark.parametrize("code", ProblemCode)
def test_every_problem_has_the_status_of_the_table_and_the_busy_ones_say_when_to_try_again(
    gateway: Gateway, code: ProblemCode
) -> None:
    gateway.processor.answer = ProblemError(code, "For this very image.")
    response = gateway.upload()
    problem = assert_problem(response, PROBLEM_TYPES[code].status, code.value)
    assert (problem["detail"], problem["title"]) == ("For this very image.", PROBLEM_TYPES[code].title)
    retry_after = response.headers.get("retry-after")
    assert (retry_after is not None) == (response.status_code in {429, 503})
    assert retry_after is None or int(retry_after) >= 1


def test_a_fault_says_nothing_of_the_inside_and_is_told_in_the_log(gateway: Gateway) -> None:
    gateway.processor.answer = ZeroDivisionError(SECRET)
    response = gateway.upload()
    assert_problem(response, 500, "internal_error")
    for word in (SECRET, "ZeroDivisionError", "Traceback", ".py", "driver"):
        assert word not in response.text + str(response.headers)
    [fault] = gateway.log("unhandled fault")
    assert fault["level"] == "ERROR"
    assert fault["request_id"] == response.headers["x-request-id"]
    assert SECRET in fault["exception"]
    assert "in measure" in fault["exception"]
    assert gateway.log("request")[0]["extra_info"]["status_code"] == 500
    gateway.processor.answer = measurement()
    assert gateway.upload().status_code == 200


def test_a_fault_of_the_caches_code_is_a_fault_as_well(make_gateway: MakeGateway) -> None:
    class Buggy:
        async def get(self, sha256: str, options: Options) -> Lookup:  # noqa: ARG002 - the Protocol's
            raise RuntimeError(SECRET + sha256)

    response = make_gateway(cache=Buggy()).upload()
    assert_problem(response, 500, "internal_error")
    assert SECRET not in response.text


@pytest.mark.parametrize("got", [0, 30, 120])
def test_a_client_that_goes_away_in_the_middle_is_no_fault(gateway: Gateway, got: int) -> None:
    body = form(part(IMAGE * 10))
    begun: list[Message] = [{"type": "http.request", "body": body[:got], "more_body": True}]
    answer = gateway.converse(begun)
    assert answer.status_code == 0
    assert [line["message"] for line in gateway.log()] == ["request"]
    assert gateway.log()[0]["extra_info"]["status_code"] == 499
    assert gateway.processor.images == []


def test_health_answers_with_the_limits_in_force(make_gateway: MakeGateway) -> None:
    variables = {"MAX_CONTENT_LENGTH": "1000", "ALLOWED_IMAGE_FORMATS": "png", "MAX_IMAGE_PIXELS": "77"}
    gateway = make_gateway(variables=variables)
    health = gateway.get("/health").json()
    assert health["status"] == "ok"
    assert health["limits"] == {
        "max_content_length": 1000,
        "max_upload_bytes": 0,
        "allowed_image_formats": ["PNG"],
        "media_types": ["image/png"],
        "suffixes": ["apng", "png"],
        "max_image_pixels": 77,
        "max_upload_pixels": 200_000_000,
        "max_job_bytes": 0,
        "max_job_pixels": 0,
    }
    assert gateway.processor.images == []
    assert gateway.redis.keys() == []
