"""What the gateway and the processor agree on survives the way between them."""

from __future__ import annotations

import dataclasses
import json
import pickle
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contract.invocation import Invocation, StoredImage, measurement_answer, problem_answer
from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from image_intensity import Measurement, Statistics

INVOCATION = Invocation(image=b"\x89PNG\r\n", allowed_formats=("PNG", "JPEG"), max_pixels=1000, request_id="id-1")
MEASUREMENT = Measurement(
    # It survives to the last bit.
    average_intensity=1 / 3,
    image_format="PNG",
    image_size=(800, 600),
    original_mode="RGB",
    pixel_count=480_000,
    image_size_bytes=123_456,
    statistics=Statistics(
        minimum=0.0,
        maximum=255.0,
        median=127.5,
        standard_deviation=70.0,
        percentiles={"1": 2.0, "5": 12.0, "25": 63.0, "75": 191.0, "95": 242.0, "99": 252.0},
        entropy=8.0,
        share_black=0.004,
        share_white=0.004,
    ),
    histogram=(1875,) * 256,
)


@given(image=st.binary(max_size=2000), max_pixels=st.integers(1, 2**40))
@settings(max_examples=100, derandomize=True, deadline=None, database=None)
def test_an_invocation_is_the_same_at_the_other_end(image: bytes, max_pixels: int) -> None:
    invocation = Invocation(image=image, allowed_formats=("JPEG",), max_pixels=max_pixels)

    assert Invocation.from_event(json.loads(json.dumps(invocation.to_event()))) == invocation


def test_an_event_has_the_documented_shape() -> None:
    assert INVOCATION.to_event() == {
        "image": "iVBORw0K",
        "allowed_formats": ["PNG", "JPEG"],
        "max_pixels": 1000,
        "luma": "bt601",
        "alpha": "ignore",
        "region": None,
        "request_id": "id-1",
    }


def test_an_invocation_for_a_stored_image_is_the_same_at_the_other_end_and_small() -> None:
    stored = StoredImage(bucket="bucket", key="uploads/1", size=10**8, sha256="0f" * 32)
    invocation = dataclasses.replace(INVOCATION, image=stored)

    described = {"bucket": "bucket", "key": "uploads/1", "size": 10**8, "sha256": "0f" * 32}
    assert invocation.to_event()["stored"] == described
    assert Invocation.from_event(json.loads(invocation.to_json())) == invocation
    assert len(invocation.to_json()) < 500


@pytest.mark.parametrize(
    "change",
    [
        {"image": "iVBORw0"},
        {"image": "iVBORw0K\n"},
        {"image": "iVBO Rw0K"},
        {"image": "\u00e9\u00e9\u00e9\u00e9"},
        {"image": 7},
        {"image": None},
        {"stored": {}},
        {"stored": None},
    ],
    ids=str,
)
def test_an_event_with_a_wrong_part_is_an_error(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        Invocation.from_event(INVOCATION.to_event() | change)


def test_a_measurement_comes_back_from_its_answer() -> None:
    answer = json.loads(json.dumps(measurement_answer(MEASUREMENT)))

    assert answer.keys() == {"measurement"}
    content = answer["measurement"]
    assert TypeAdapter(Measurement).validate_python(content) == MEASUREMENT


def test_a_refusal_has_the_documented_shape() -> None:
    problem = ProblemError(ProblemCode.CORRUPT_IMAGE, "The end is missing.")

    answer = json.loads(json.dumps(problem_answer(problem)))

    assert answer == {"problem": {"code": "corrupt_image", "detail": "The end is missing."}}


@pytest.mark.parametrize("code", ProblemCode)
def test_every_code_has_an_error_status_and_a_title_of_its_own(code: ProblemCode) -> None:
    assert code in PROBLEM_TYPES, f"contract/problems.py: {code} has no status and title"
    status, title, detail = PROBLEM_TYPES[code]

    assert HTTPStatus(status) >= HTTPStatus.BAD_REQUEST
    assert title.strip() == title
    assert title[0].isupper()
    assert [kind.title for kind in PROBLEM_TYPES.values()].count(title) == 1
    assert ProblemError(code).detail == detail
    # A command or an address at the end is there to be copied.
    assert detail.endswith((".", "luma=bt709", "@photo.jpg"))


def test_a_problem_survives_the_way_between_processes() -> None:
    problem = pickle.loads(pickle.dumps(ProblemError(ProblemCode.CORRUPT_IMAGE, "It is cut short.")))  # noqa: S301
    assert (type(problem), problem.code, problem.detail) == (ProblemError, "corrupt_image", "It is cut short.")
