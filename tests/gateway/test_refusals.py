"""A file that was refused is refused again from the cache, so that it costs its work once."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.measuring.processor_client import TimeUsedUpError
from gateway.measuring.records import OF_THE_FILE
from image_intensity import Options, version
from tests.gateway.driver import IMAGE, Gateway, assert_problem, measurement

if TYPE_CHECKING:
    from tests.gateway.driver import MakeGateway

KEY = f"intensity:{version()}:{Options().key()}:{sha256(IMAGE).hexdigest()}"
CUT = ProblemError(ProblemCode.CORRUPT_IMAGE, "Cut short.")


def refused(gateway: Gateway, code: ProblemCode = ProblemCode.CORRUPT_IMAGE) -> str:
    """How the cache took part in an upload that is refused."""
    response = gateway.upload()
    assert_problem(response, PROBLEM_TYPES[code].status, code.value)
    return str(response.headers["x-cache"])


@pytest.mark.parametrize(
    "error",
    [*(ProblemError(code, "As it was said the first time.") for code in sorted(OF_THE_FILE)), TimeUsedUpError()],
    ids=lambda error: error.code,
)
def test_a_refused_file_is_refused_again_without_the_processor(gateway: Gateway, error: ProblemError) -> None:
    gateway.processor.answer = error
    first = assert_problem(gateway.upload(), PROBLEM_TYPES[error.code].status, error.code.value)
    gateway.processor.answer = measurement()
    second = gateway.upload()
    assert second.headers["x-cache"] == "hit"
    assert second.json()["detail"] == first["detail"]
    assert len(gateway.processor.images) == 1


# A timeout too: a pause of the machine may be its reason, unless the processor says that it has used its time.
@pytest.mark.parametrize("code", sorted({*ProblemCode} - OF_THE_FILE))
def test_a_problem_that_says_nothing_of_the_file_is_not_remembered(gateway: Gateway, code: ProblemCode) -> None:
    gateway.processor.answer = ProblemError(code, "Not the file's fault.")
    gateway.upload()
    assert gateway.redis.keys() == []
    gateway.processor.answer = measurement()
    assert gateway.upload().status_code == 200


def test_a_refusal_has_a_short_time_to_live_of_its_own(make_gateway: MakeGateway) -> None:
    for variables, least, most in (({}, 590, 600), ({"REFUSAL_TTL_SECONDS": "77"}, 70, 77)):
        gateway = make_gateway(variables=variables)
        gateway.processor.answer = CUT
        gateway.upload()
        assert least < gateway.redis.ttl(KEY) <= most


def test_without_a_time_to_live_no_refusal_is_remembered(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(variables={"REFUSAL_TTL_SECONDS": "0"})
    gateway.processor.answer = CUT
    assert [refused(gateway), refused(gateway)] == ["miss", "miss"]
    assert gateway.redis.keys() == []


@pytest.mark.parametrize("wider", [{"MAX_IMAGE_PIXELS": "64000001"}, {"ALLOWED_IMAGE_FORMATS": "PNG"}])
def test_under_other_limits_the_file_is_measured_again(
    gateway: Gateway, make_gateway: MakeGateway, wider: dict[str, str]
) -> None:
    gateway.processor.answer = CUT
    assert [refused(gateway), refused(gateway)] == ["miss", "hit"]
    other = make_gateway(variables=wider, server=gateway.server)
    response = other.upload()
    assert (response.status_code, response.headers["x-cache"]) == (200, "miss")
    # A measurement replaces a refusal.
    assert gateway.upload().headers["x-cache"] == "hit"


@pytest.mark.parametrize(
    "different", [{"code": "internal_error"}, {"code": "no_code"}, {"detail": None}, {"max_pixels": "64000000"}]
)
def test_a_refusal_that_is_not_ours_is_a_miss(gateway: Gateway, different: dict[str, Any]) -> None:
    gateway.processor.answer = CUT
    gateway.upload()
    signer = gateway.redis_cache.records.signer(KEY)
    content = gateway.redis.get(KEY)
    for name, value in different.items():
        content = changed(signer.unsign(content), name, value)
        gateway.redis.set(KEY, signer.sign(content))
    assert refused(gateway) == "miss"


def changed(content: bytes, name: str, value: object) -> bytes:
    """The JSON with another value of one member."""
    members = json.loads(content)
    assert name in members
    return json.dumps({**members, name: value}, separators=(",", ":")).encode()
