"""MAX_CONTENT_LENGTH: on the file in a form and on the body that is one, to the byte, and while it arrives."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.driver import CONTENT_TYPE, IMAGE, assert_problem, chunks, form, part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Message

    from tests.gateway.driver import Gateway, MakeGateway

LIMIT = 1_000_000
CHUNK = 65_536


@pytest.fixture
def limited(make_gateway: MakeGateway) -> Gateway:
    return make_gateway(variables={"MAX_CONTENT_LENGTH": str(LIMIT), "UPLOAD_BUCKET": "bucket"})


def endless(total: int) -> Iterator[Message]:
    """A file that goes on for `total` bytes, in pieces that are made only when they are asked for."""
    yield {"type": "http.request", "body": part(b"").removesuffix(b"\r\n"), "more_body": True}
    for _ in range(0, total, CHUNK):
        yield {"type": "http.request", "body": bytes(CHUNK), "more_body": True}
    yield {"type": "http.request", "body": b"\r\n" + form(), "more_body": False}


@pytest.mark.parametrize("content_type", [CONTENT_TYPE, "image/png"])
@pytest.mark.parametrize("limit", [1, 1000, 5_242_880])
def test_a_file_of_just_the_limit_passes_and_one_byte_more_does_not(
    make_gateway: MakeGateway, limit: int, content_type: str
) -> None:
    # The last one is the default.
    variables = {} if limit == 5_242_880 else {"MAX_CONTENT_LENGTH": str(limit)}
    gateway = make_gateway(variables={**variables, "UPLOAD_BUCKET": "bucket"})
    answers = []
    for size in (limit, limit + 1):
        body = form(part(bytes(size))) if content_type == CONTENT_TYPE else bytes(size)
        answers.append(gateway.post(body, content_type=content_type))
    assert answers[0].status_code == 200
    problem = assert_problem(answers[1], 413, "file_too_large")
    assert f"larger than {limit:,} bytes" in problem["detail"]
    assert "POST /uploads" in problem["detail"]
    assert [bytes(image) for image in gateway.processor.images] == [bytes(limit)]  # type: ignore[arg-type]


@pytest.mark.parametrize("content_type", [CONTENT_TYPE, "image/png"])
@pytest.mark.parametrize("declared", [None, "10", "20000000", "-1", "many", "9" * 5000])
def test_no_more_than_the_limit_is_ever_in_memory(limited: Gateway, declared: str | None, content_type: str) -> None:
    limited.converse(chunks(form(part())))
    headers: dict[str, Any] = {"content-type": content_type, **({"content-length": declared} if declared else {})}
    tracemalloc.start()
    answer = limited.converse(endless(12 * LIMIT), headers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert_problem(answer, 413, "file_too_large")
    assert answer.extensions["consumed"] <= LIMIT + 2 * CHUNK
    # Twice the limit, since a buffer grows by copying. The client sent twelve times the limit.
    assert peak < 3 * LIMIT


@pytest.mark.parametrize("expect", [{}, {"expect": "100-continue"}])
@pytest.mark.parametrize("content_type", [CONTENT_TYPE, "image/png"])
def test_a_client_that_declares_too_much_is_refused_unread(
    limited: Gateway, content_type: str, expect: dict[str, str]
) -> None:
    headers = {"content-type": content_type, "content-length": str(2 * LIMIT), **expect}
    answer = limited.converse(endless(2 * LIMIT), headers)
    assert_problem(answer, 413, "file_too_large")
    assert answer.extensions["consumed"] == 0


def test_a_client_that_asks_before_it_sends_what_is_allowed_is_measured(limited: Gateway) -> None:
    body = form(part())
    answer = limited.converse(chunks(body), {"expect": "100-continue", "content-length": str(len(body))})
    assert answer.status_code == 200


def test_many_small_fields_are_limited_like_a_large_one(limited: Gateway) -> None:
    many = b"".join(part(b"x" * 2000, name="image", filename=None) for _ in range(900))
    assert_problem(limited.converse(chunks(many, form(part(IMAGE)))), 413, "file_too_large")
