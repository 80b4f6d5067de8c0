"""MAX_CONTENT_LENGTH: on the file, to the byte, and while it arrives."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from tests.gateway.driver import IMAGE, assert_problem, chunks, form, part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Message

    from tests.gateway.driver import Gateway

LIMIT = 1_000_000
CHUNK = 65_536


@pytest.fixture
def limited(make_gateway: Callable[..., Gateway]) -> Gateway:
    return make_gateway(variables={"MAX_CONTENT_LENGTH": str(LIMIT)})


def endless(total: int) -> Iterator[Message]:
    """A file that goes on for `total` bytes, in pieces that are made only when they are asked for."""
    yield {"type": "http.request", "body": part(b"").removesuffix(b"\r\n"), "more_body": True}
    for _ in range(0, total, CHUNK):
        yield {"type": "http.request", "body": bytes(CHUNK), "more_body": True}
    yield {"type": "http.request", "body": b"\r\n" + form(), "more_body": False}


@pytest.mark.parametrize("limit", [1, 1000, 5_242_880])
def test_a_file_of_just_the_limit_passes_and_one_byte_more_does_not(
    make_gateway: Callable[..., Gateway], limit: int
) -> None:
    gateway = make_gateway(variables={"MAX_CONTENT_LENGTH": str(limit)})
    assert gateway.upload(bytes(limit)).status_code == 200
    problem = assert_problem(gateway.upload(bytes(limit + 1)), 413, "file_too_large")
    assert f"{limit:,}" in problem["detail"]
    assert gateway.processor.images == [bytes(limit)]


def test_the_default_limit_is_five_megabytes(gateway: Gateway) -> None:
    assert gateway.upload(bytes(5_242_880)).status_code == 200
    assert_problem(gateway.upload(bytes(5_242_881)), 413, "file_too_large")


@pytest.mark.parametrize("declared", [None, "10", "20000000", "-1", "many", "9" * 5000])
def test_no_more_than_the_limit_is_ever_in_memory(limited: Gateway, declared: str | None) -> None:
    limited.converse(chunks(form(part())))
    tracemalloc.start()
    answer = limited.converse(endless(12 * LIMIT), {"content-length": declared} if declared else {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert_problem(answer, 413, "file_too_large")
    # Twice the limit, since a buffer grows by copying. The client sent twelve times the limit.
    assert peak < 3 * LIMIT


def test_a_client_that_asks_before_it_sends_too_much_is_refused_unread(limited: Gateway) -> None:
    headers = {"expect": "100-continue", "content-length": str(2 * LIMIT)}
    answer = limited.converse(endless(2 * LIMIT), headers)
    assert_problem(answer, 413, "file_too_large")
    assert answer.consumed == 0


def test_a_client_that_asks_before_it_sends_what_is_allowed_is_measured(limited: Gateway) -> None:
    body = form(part())
    answer = limited.converse(chunks(body), {"expect": "100-continue", "content-length": str(len(body))})
    assert answer.status == 200


def test_many_small_fields_are_limited_like_a_large_one(limited: Gateway) -> None:
    many = b"".join(part(b"x" * 2000, name="image", filename=None) for _ in range(900))
    assert_problem(limited.converse(chunks(many, form(part(IMAGE)))), 413, "file_too_large")
