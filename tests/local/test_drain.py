"""The local server reads the rest of a body before it answers: else the client would see a broken connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_server.drain import DrainMiddleware
from local_server.serving import DISCARD_FACTOR
from tests.gateway.driver import Gateway, assert_problem, chunks, form, part
from tests.gateway.test_size_limit import LIMIT, endless

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[Gateway]:
    """The application as the local server has it."""
    gateway = Gateway({"MAX_CONTENT_LENGTH": str(LIMIT)})
    gateway.app.add_middleware(DrainMiddleware, limit=DISCARD_FACTOR * LIMIT)
    yield gateway
    gateway.close()


def test_a_body_over_the_limit_is_read_to_its_end_before_the_answer(server: Gateway) -> None:
    answer = server.converse(endless(10 * LIMIT))
    assert_problem(answer, 413, "file_too_large")
    assert answer.consumed > 10 * LIMIT
    assert "connection" not in answer.headers


def test_a_body_without_an_end_is_left_after_twenty_times_the_limit(server: Gateway) -> None:
    answer = server.converse(endless(100 * LIMIT))
    assert_problem(answer, 413, "file_too_large")
    assert 20 * LIMIT < answer.consumed < 22 * LIMIT


def test_a_body_that_is_refused_for_another_reason_is_read_as_well(server: Gateway) -> None:
    for headers in ({"content-type": "text/plain"}, {"content-type": "multipart/form-data; boundary=another"}):
        answer = server.converse(endless(LIMIT), headers)
        assert_problem(answer, 400, "malformed_request")
        assert answer.consumed > LIMIT


def test_a_client_that_asks_before_it_sends_too_much_is_refused_unread(server: Gateway) -> None:
    headers = {"expect": "100-continue", "content-length": str(2 * LIMIT)}
    answer = server.converse(endless(2 * LIMIT), headers)
    assert_problem(answer, 413, "file_too_large")
    assert answer.consumed == 0
    # It may take its next request for welcome, and the server would read that as the body.
    assert answer.headers["connection"] == "close"


def test_a_request_without_a_body_keeps_its_connection(server: Gateway) -> None:
    empty = {"type": "http.request", "body": b"", "more_body": False}
    answer = server.converse([empty], {"expect": "100-continue"}, method="GET", path="/health")
    assert answer.status == 200
    assert "connection" not in answer.headers


def test_a_whole_body_is_measured_as_without_draining(server: Gateway) -> None:
    body = form(part())
    answer = server.converse(chunks(body), {"expect": "100-continue", "content-length": str(len(body))})
    assert answer.status == 200
