"""Images that no request may measure: the page has them measured by a job, by itself, and finds it after a reload."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Route, expect

from image_intensity.measuring import measure
from tests.local.test_jobs import process_for_jobs
from tests.server import running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext

    from tests.browser.screen import Screen
    from tests.server import Server


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """A service whose limits for requests are low. It has one worker, and so one process for jobs."""
    limits = {"MAX_CONTENT_LENGTH": "20000", "MAX_UPLOAD_BYTES": "100000", "MAX_UPLOAD_PIXELS": "20000"}
    with running_server(**limits) as server:
        yield server


@pytest.fixture(scope="module")
def server(running: Server) -> str:
    return running.address


@pytest.fixture
def context(fresh_context: BrowserContext) -> BrowserContext:
    """At a server of its own."""
    return fresh_context


@pytest.fixture
def large(picture: Callable[..., Path]) -> Path:
    """A PNG that has more bytes than an upload that is measured at once."""
    return picture("large.png", (300, 200))


def test_an_image_above_the_limits_of_requests_is_measured_by_a_job(
    screen: Screen, large: Path, picture: Callable[..., Path]
) -> None:
    screen.open_and_wait_for_limits()
    screen.measure(large)
    assert screen.exact == measure(large.read_bytes()).average_intensity
    assert screen.uploads == []
    expect(screen.field("cache")).to_have_text("answered by a job")
    expect(screen.button("Copy as curl"), "its request would be refused").to_be_hidden()
    of_many_pixels = picture("pixels.png", (160, 150))
    assert of_many_pixels.stat().st_size < 100_000
    screen.measure(of_many_pixels)
    assert screen.exact == measure(of_many_pixels.read_bytes()).average_intensity
    assert len(screen.uploads) == 1


def test_a_reload_finds_the_job_again(screen: Screen, running: Server, picture: Callable[..., Path]) -> None:
    screen.open_and_wait_for_limits()
    screen.measure(picture("first.png", (300, 200)))
    child = process_for_jobs(running)
    os.kill(child, signal.SIGSTOP)
    try:
        image = picture("second.png", (310, 200))
        screen.choose(image)
        screen.analyze.click()
        under_way = re.compile(r"Waiting for a worker…|Measuring\. This may take minutes…")
        expect(screen.stage).to_have_text(under_way)
        screen.open_and_wait_for_limits()
        expect(screen.stage).to_have_text(under_way)
        expect(screen.page.locator("#region-on"), "there is no picture to choose a region of").to_be_hidden()
    finally:
        os.kill(child, signal.SIGCONT)
    expect(screen.field("filename")).to_have_text("second.png")
    assert screen.exact == measure(image.read_bytes()).average_intensity
    expect(screen.page.locator("#region-on")).to_be_hidden()
    screen.open_and_wait_for_limits()
    expect(screen.progress).to_be_hidden()


def test_a_lost_connection_does_not_lose_the_job(screen: Screen, large: Path) -> None:
    lost: list[str] = []

    def lose(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.request.url)
            route.abort("connectionreset")

    screen.page.route(re.compile("/jobs/"), lose)
    screen.page.clock.install()
    screen.open_and_wait_for_limits()
    screen.choose(large)
    screen.analyze.click()
    expect(screen.stage).to_have_text("Connection lost. Trying again…")
    screen.page.clock.fast_forward(5_000)
    expect(screen.result).to_be_visible()
    assert screen.exact == measure(large.read_bytes()).average_intensity


def test_a_damaged_image_ends_in_the_problem(screen: Screen, large: Path) -> None:
    large.write_bytes(large.read_bytes()[:-40])
    screen.open_and_wait_for_limits()
    screen.choose(large)
    screen.analyze.click()
    expect(screen.alert).to_contain_text("damaged")
    assert screen.page.evaluate("sessionStorage.getItem('jobs')") == "[]"
