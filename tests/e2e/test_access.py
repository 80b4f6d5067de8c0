"""Where the operator wants API keys, every way of running the service refuses and counts in the same way."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.images import fresh
from tests.e2e.keys import BURST, DAY, Guarded, guarded_compose, guarded_run, guarded_stack
from tests.e2e.test_http import ORIGIN, TIMEOUT, assert_measured, assert_problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tests.e2e.conftest import Engine

# More than this many seconds is not until the next moment, but until the next day.
LONG = 60


@pytest.fixture(scope="module")
def guarded(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Guarded]:
    """The service with keys."""
    guard: AbstractContextManager[Guarded]
    if engine.name == "make run":
        guard = guarded_run()
    elif engine.name == "compose":
        guard = guarded_compose(request.getfixturevalue("compose"))
    elif engine.name == "deployed":
        guard = nullcontext(guarded_stack(engine))
    else:
        pytest.skip(f"{engine.name}: it cannot be given keys from here (sam local has no API keys)")
    with guard as closed:
        yield closed


def measure(guarded: Guarded, key: str | None, content: bytes = b"no image") -> httpx.Response:
    headers = {**ORIGIN, **({"X-API-Key": key} if key is not None else {})}
    files = {"image": ("x.png", content)}
    return httpx.post(f"{guarded.url}/intensity", files=files, headers=headers, timeout=TIMEOUT)


def assert_refused(guarded: Guarded, response: httpx.Response, status: int, code: str) -> None:
    """It is refused with this status, and with this problem where the service can write it."""
    assert response.status_code == status, response.text
    if guarded.has_own_answers:
        assert_problem(response, status, code)
        assert response.headers["Access-Control-Allow-Origin"] == "*"


def assert_key_wanted(guarded: Guarded, response: httpx.Response) -> None:
    assert_refused(guarded, response, 403, "forbidden")
    if not guarded.has_own_answers:
        return
    assert "X-API-Key" in response.json()["detail"]
    assert response.headers["WWW-Authenticate"] == "ApiKey"
    assert "WWW-Authenticate" in response.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_without_a_valid_key_nothing_is_measured(guarded: Guarded, key: str | None) -> None:
    assert_key_wanted(guarded, measure(guarded, key, fresh().content))


def test_without_a_key_nobody_gets_a_form_or_hears_what_is_known(guarded: Guarded) -> None:
    described = {"filename": "x.png", "size": 9, "content_type": "image/png", "sha256": "0" * 64}
    response = httpx.post(f"{guarded.url}/uploads", json=described, headers=ORIGIN, timeout=TIMEOUT)
    assert_key_wanted(guarded, response)
    assert "known" not in response.json()


def test_with_a_key_an_image_is_measured(guarded: Guarded) -> None:
    sample = fresh()
    assert_measured(measure(guarded, guarded.key, sample.content), sample)


def test_with_a_key_there_is_a_form(guarded: Guarded) -> None:
    described = {"filename": "x.png", "size": 9, "content_type": "image/png", "sha256": "0" * 64}
    headers = {"X-API-Key": guarded.key}
    response = httpx.post(f"{guarded.url}/uploads", json=described, headers=headers, timeout=TIMEOUT)
    assert response.status_code == 201, response.text


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/docs", "/openapi.json"])
def test_the_health_and_the_documents_stay_open(guarded: Guarded, path: str) -> None:
    assert httpx.get(f"{guarded.url}{path}", timeout=TIMEOUT).status_code == 200


def test_a_preflight_stays_open_and_allows_a_key(guarded: Guarded) -> None:
    headers = {**ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    response = httpx.options(f"{guarded.url}/intensity", headers=headers, timeout=TIMEOUT)
    assert response.status_code == 200
    assert "x-api-key" in response.headers["Access-Control-Allow-Headers"].lower()


def test_a_key_that_asks_too_often_hears_when_it_may_again_and_at_last_that_its_day_is_over(guarded: Guarded) -> None:
    # More at once would only start more functions.
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(lambda _: measure(guarded, guarded.busy_key), range(2 * DAY)))
    answers = list(at_once)
    seconds = 0
    while seconds < LONG and len(answers) < 4 * DAY:
        time.sleep(seconds)
        answers.append(measure(guarded, guarded.busy_key))
        seconds = int(answers[-1].headers.get("Retry-After", "1"))
    assert seconds >= LONG or not guarded.has_own_answers
    assert {answer.status_code for answer in answers} == {400, 429}
    # A file that is no image counts like any other.
    assert [answer.status_code for answer in answers].count(400) == DAY
    assert BURST <= [answer.status_code for answer in at_once].count(400) <= DAY
    for answer in answers:
        if answer.status_code == 429:
            assert_refused(guarded, answer, 429, "too_many_requests")
            assert int(answer.headers.get("Retry-After", "0")) >= 1 or not guarded.has_own_answers
