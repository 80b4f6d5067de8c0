"""Jobs in every way of running the service that has them, over HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx
import pytest

from tests.e2e.images import fresh
from tests.e2e.test_http import assert_problem
from tests.e2e.uploads import CREDENTIALS, TIMEOUT, announce, form_for, redeem, send

if TYPE_CHECKING:
    from tests.e2e.conftest import Engine


@pytest.fixture
def url(engine: Engine) -> str:
    """The address of a service that has jobs."""
    limits = httpx.get(f"{engine.url}/health", timeout=TIMEOUT).json()["limits"]
    if not limits["max_job_bytes"]:
        assert engine.name in {"given", "sam local"}
        pytest.skip("this service has no jobs")
    return engine.url


def start(url: str, ticket: str, query: str = "") -> httpx.Response:
    return httpx.post(f"{url}/jobs{query}", json={"ticket": ticket}, headers=CREDENTIALS, timeout=TIMEOUT)


def finished(begun: httpx.Response) -> httpx.Response:
    """The answer of a job that is done, or has failed."""
    assert begun.status_code == 202, begun.text
    address, end = urljoin(str(begun.url), begun.headers["Location"]), time.monotonic() + TIMEOUT
    while True:
        response = httpx.get(f"{address}?detail=full", timeout=TIMEOUT)
        if not response.is_success or response.json()["status"] == "done":
            return response
        assert response.headers["Retry-After"]
        assert time.monotonic() < end, response.text
        time.sleep(0.3)


def test_a_job_gives_the_same_answer_as_a_request_and_the_cache_has_it_afterwards(url: str, engine: Engine) -> None:
    sample = fresh()
    form = form_for(url, sample.content)
    send(form, sample.content).raise_for_status()
    query = "?luma=mean&region=1,1,5,4"
    begun = start(url, form["ticket"], query)
    done = finished(begun)
    assert start(url, form["ticket"], query).json()["id"] == begun.json()["id"]
    known = announce(url, sample.content, query).json()["known"]
    assert known == engine.has_cache
    response = redeem(url, form["ticket"], f"{query}&detail=full")
    own = {"request_id": "", "duration_ms": 0}
    assert done.json()["result"] | own == response.json() | own
    assert (response.headers["X-Cache"] == "hit") == engine.has_cache


def test_a_job_that_fails_answers_with_its_problem(url: str) -> None:
    content = fresh().content[:-40]
    form = form_for(url, content)
    send(form, content).raise_for_status()
    assert_problem(finished(start(url, form["ticket"])), 400, "corrupt_image")
    form = form_for(url, fresh().content)
    assert_problem(finished(start(url, form["ticket"])), 409, "upload_missing")
