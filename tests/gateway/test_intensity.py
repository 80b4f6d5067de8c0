"""POST /intensity: the answer, and how the cache takes part in it."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from contract.problems import ProblemCode, ProblemError
from image_intensity import version
from tests.gateway.driver import IMAGE, measurement
from tests.support import DEFAULT_FIELDS

if TYPE_CHECKING:
    from tests.gateway.driver import Gateway, MakeGateway


def test_the_answer_has_exactly_the_eight_fields(gateway: Gateway) -> None:
    response = gateway.upload()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert list(answer) == DEFAULT_FIELDS
    assert answer["filename"] == "photo.png"
    assert answer["image_size"] == [3, 2]
    assert answer["original_mode"] == "RGB"
    assert answer["pixel_count"] == 6
    assert answer["image_size_bytes"] == len(IMAGE)
    assert answer["request_id"] == response.headers["x-request-id"]
    assert isinstance(answer["duration_ms"], float)
    assert answer["duration_ms"] > 0


def test_the_processor_is_given_the_files_own_bytes(gateway: Gateway) -> None:
    content = bytes(range(256)) + b"\r\n--boundar\r\n--\r\n" + bytes(range(256))
    gateway.upload(content)
    assert gateway.processor.images == [content]


@pytest.mark.parametrize("intensity", [100 / 3, 0.0, 255.0, 127.00000000000001, 5e-324])
def test_the_intensity_is_not_rounded_by_the_answer_nor_by_the_cache(gateway: Gateway, intensity: float) -> None:
    gateway.processor.answer = measurement(average_intensity=intensity)
    measured, remembered = gateway.upload(), gateway.upload()
    assert measured.json()["average_intensity"] == intensity
    assert remembered.json()["average_intensity"] == intensity
    assert remembered.headers["x-cache"] == "hit"


def test_the_second_upload_is_a_hit_that_differs_in_what_belongs_to_the_request_alone(gateway: Gateway) -> None:
    first, second = gateway.upload(), gateway.upload(filename="copy.jpg")
    assert [first.headers["x-cache"], second.headers["x-cache"]] == ["miss", "hit"]
    assert len(gateway.processor.images) == 1
    assert list(second.json()) == DEFAULT_FIELDS
    different = {name for name in DEFAULT_FIELDS if first.json()[name] != second.json()[name]}
    assert {"request_id", "filename"} <= different <= {"request_id", "filename", "duration_ms"}
    assert second.json()["filename"] == "copy.jpg"


def test_another_content_is_a_miss(gateway: Gateway) -> None:
    gateway.upload()
    assert gateway.upload(IMAGE + b"!").headers["x-cache"] == "miss"
    assert len(gateway.processor.images) == 2


def test_the_record_is_under_the_versions_the_options_and_the_digest_of_the_bytes(gateway: Gateway) -> None:
    gateway.upload()
    assert gateway.redis.keys() == [
        f"intensity:{version()}:luma=bt601&alpha=ignore:{sha256(IMAGE).hexdigest()}".encode()
    ]


def test_the_record_holds_nothing_of_the_request(gateway: Gateway) -> None:
    gateway.upload(filename="secret-name.png", X_Request_ID="secret-id")
    [key] = gateway.redis.keys()
    record = gateway.redis.get(key)
    assert b"average_intensity" in record
    assert b"secret" not in record
    assert IMAGE not in record


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"ALLOWED_IMAGE_FORMATS": "JPEG"}, "unsupported_format"), ({"MAX_IMAGE_PIXELS": "5"}, "too_many_pixels")],
)
def test_what_was_measured_under_wider_limits_is_refused_under_narrower_ones(
    gateway: Gateway, make_gateway: MakeGateway, limits: dict[str, str], code: str
) -> None:
    gateway.upload()
    narrower = make_gateway(variables=limits, server=gateway.server)
    narrower.processor.answer = ProblemError(ProblemCode(code), "Not now.")
    response = narrower.upload()
    assert response.json()["code"] == code
    assert response.headers["x-cache"] == "miss"
    assert narrower.processor.images == [IMAGE]
    # The refusal has not replaced the measurement.
    assert gateway.upload().headers["x-cache"] == "hit"


def test_a_hit_at_just_the_pixel_limit_is_used(gateway: Gateway, make_gateway: MakeGateway) -> None:
    gateway.upload()
    assert make_gateway(variables={"MAX_IMAGE_PIXELS": "6"}, server=gateway.server).upload().headers["x-cache"] == "hit"


def test_without_a_cache_every_upload_is_a_bypass(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(with_cache=False)
    assert [gateway.upload().headers["x-cache"] for _ in range(2)] == ["bypass", "bypass"]
    assert len(gateway.processor.images) == 2


def test_concurrent_requests_keep_their_own_ids(gateway: Gateway) -> None:
    for number in range(5):
        gateway.upload(IMAGE + bytes([number]), X_Request_ID=f"id-{number}")
    assert [line["request_id"] for line in gateway.log("request")] == [f"id-{number}" for number in range(5)]
