"""Parts of Compose are killed, frozen and restarted while requests run: every answer is right or says what is wrong."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.compose import WAIT_SECONDS
from tests.e2e.images import fresh
from tests.e2e.test_http import assert_measured, assert_problem
from tests.e2e.uploads import form_for, redeem, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.compose import Compose
    from tests.e2e.images import Sample

# How long a part is stopped: long enough for several requests of each client.
AWAY_SECONDS = 2
DOCUMENTED = {
    "internal_error": 500,
    "processor_failed": 502,
    "processor_busy": 503,
    "processor_timeout": 504,
}


def kill(compose: Compose, part: str) -> None:
    compose("kill", part)
    time.sleep(AWAY_SECONDS)
    compose("start", part)


def freeze(compose: Compose, part: str) -> None:
    compose("pause", part)
    time.sleep(AWAY_SECONDS)
    compose("unpause", part)


def restart(compose: Compose, part: str) -> None:
    compose("restart", "--timeout", "3", part)


def ask(compose: Compose) -> str:
    """Have a new image measured; returns `measured` or the code of the documented problem that came instead."""
    sample = fresh()
    response = httpx.post(f"{compose.url}/intensity", files={"image": ("x.png", sample.content)}, timeout=WAIT_SECONDS)
    if response.status_code == 200:
        assert_measured(response, sample)
        return "measured"
    code: str = response.json()["code"]
    assert_problem(response, DOCUMENTED[code], code)
    return code


def outcomes_during(compose: Compose, disturbance: Callable[[], None]) -> Counter[str]:
    """Keep four clients asking during `disturbance`, and until the service is itself again."""
    over = Event()

    def client(_number: int) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        while not over.is_set():
            outcomes[ask(compose)] += 1
        return outcomes

    with ThreadPoolExecutor(4) as threads:
        clients = [threads.submit(client, number) for number in range(4)]
        try:
            time.sleep(0.5)
            disturbance()
            time.sleep(0.5)
        finally:
            over.set()
        outcomes = sum((each.result() for each in clients), Counter[str]())
    wait_until_ready(compose)
    return outcomes


def wait_until_ready(compose: Compose) -> None:
    compose.wait_for_cache()
    assert ask(compose) == "measured"


@pytest.mark.parametrize("part", ["processor-1", "gateway", "redis", "storage"])
@pytest.mark.parametrize("disturb", [kill, freeze, restart])
def test_every_answer_is_right_or_a_documented_error(
    compose: Compose, part: str, disturb: Callable[[Compose, str], None]
) -> None:
    outcomes = outcomes_during(compose, lambda: disturb(compose, part))
    print(part, disturb.__name__, dict(outcomes))  # noqa: T201 - the figures of the run
    assert outcomes["measured"] > 0
    if part in {"redis", "storage"}:
        assert set(outcomes) == {"measured"}


@pytest.mark.parametrize(("away", "back"), [("kill", "start"), ("pause", "unpause")])
def test_an_upload_is_a_documented_error_without_its_storage_and_measured_when_that_is_back(
    compose: Compose, away: str, back: str
) -> None:
    sample = fresh()
    form = form_for(compose.url, sample.content)
    send(form, sample.content).raise_for_status()
    compose(away, "storage")
    try:
        assert_problem(redeem(compose.url, form["ticket"]), 502, "processor_failed")
        # Requests that bring their file along do not notice.
        assert ask(compose) == "measured"
    finally:
        compose(back, "storage")
    end = time.monotonic() + WAIT_SECONDS
    # Docker finds out last.
    while json.loads(compose("ps", "--format", "json", "storage"))["Health"] != "healthy":
        assert time.monotonic() < end
        time.sleep(0.5)
    assert_measured(redeem(compose.url, form["ticket"]), sample)
    # CORS still allows pages to upload to it.
    another = fresh()
    response = send(form_for(compose.url, another.content), another.content, Origin="https://page.example")
    assert (response.status_code, response.headers.get("Access-Control-Allow-Origin")) == (204, "*")


@pytest.mark.parametrize("part", ["page", "gateway", "redis", "processor-1", "storage"])
def test_what_was_measured_is_still_known_after_a_restart(compose: Compose, part: str) -> None:
    sample = fresh()
    assert cache_outcome(compose, sample) == "miss"
    restart(compose, part)
    compose("up", "--wait")
    wait_until_ready(compose)
    assert cache_outcome(compose, sample) == "hit"


def cache_outcome(compose: Compose, sample: Sample) -> str:
    """Have an image measured, and return how the cache answered.

    On a busy machine, a worker that has just started may not connect within the cache's deadline. It asks again after
    some seconds.
    """
    end = time.monotonic() + WAIT_SECONDS
    while True:
        files = {"image": ("x.png", sample.content)}
        response = httpx.post(f"{compose.url}/intensity", files=files, timeout=WAIT_SECONDS)
        assert_measured(response, sample)
        if response.headers["X-Cache"] != "bypass":
            return response.headers["X-Cache"]
        assert time.monotonic() < end
        time.sleep(0.5)
