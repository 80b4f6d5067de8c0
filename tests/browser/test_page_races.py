"""Never a number beside the wrong picture, whatever is clicked and however late an answer comes."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Error, Route, expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.screen import Screen

LATE_ANSWER = {
    "average_intensity": 1.5,
    "filename": "late.jpg",
    "image_size": [1, 1],
    "original_mode": "L",
    "pixel_count": 1,
    "duration_ms": 1.0,
    "image_size_bytes": 1,
    "request_id": "late-1",
}


@pytest.fixture
def held(screen: Screen, photo: Path) -> Route:
    """A measurement of `photo` that has been asked for and has no answer yet. Later ones are not held."""
    routes = screen.hold()
    screen.open()
    screen.choose(photo)
    with screen.page.expect_request("**/intensity?*"):
        screen.analyze.click()
    while not routes:
        screen.page.wait_for_timeout(10)
    return routes[0]


def answer_late(screen: Screen, held: Route) -> None:
    """Answer the held request, and give the page the time to show it."""
    with contextlib.suppress(Error):  # the page may have ended the request, as it should
        held.fulfill(status=200, content_type="application/json", body=json.dumps(LATE_ANSWER))
    screen.page.wait_for_timeout(300)


def test_analyze_is_disabled_and_progress_shown_until_a_held_answer_is_shown(screen: Screen, held: Route) -> None:
    """And the tests below prove something."""
    expect(screen.analyze).to_be_disabled()
    expect(screen.progress).to_be_visible()
    answer_late(screen, held)
    expect(screen.field("rounded")).to_have_text("1.50")
    expect(screen.analyze).to_be_enabled()
    expect(screen.progress).to_be_hidden()


def test_two_quick_clicks_send_one_request(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.choose(photo)
    screen.analyze.evaluate("button => { button.click(); button.click(); button.form.requestSubmit(); }")
    expect(screen.result).to_be_visible()
    screen.page.wait_for_timeout(300)
    assert len(screen.uploads) == 1


def test_another_file_ends_the_request_and_its_late_answer_is_never_shown(
    screen: Screen, held: Route, picture: Callable[..., Path]
) -> None:
    with screen.page.expect_event("requestfailed"):
        screen.choose(picture("second.png"))
    answer_late(screen, held)
    expect(screen.result).to_be_hidden()
    expect(screen.analyze).to_be_enabled()
    screen.analyze.click()
    expect(screen.field("filename")).to_have_text("second.png")
    expect(screen.alert).to_be_hidden()


def test_clear_ends_the_request_and_its_late_answer_is_never_shown(screen: Screen, held: Route) -> None:
    with screen.page.expect_event("requestfailed"):
        screen.clear.click()
    answer_late(screen, held)
    expect(screen.result).to_be_hidden()
    expect(screen.progress).to_be_hidden()
    expect(screen.analyze).to_be_disabled()
    expect(screen.alert).to_be_hidden()


def test_of_two_files_chosen_at_once_the_last_one_counts(screen: Screen, picture: Callable[..., Path]) -> None:
    """Reading the first bytes takes a moment; here the first file's take longer than the second's."""
    first, second = picture("first.png"), picture("second.png")
    screen.page.add_init_script(
        """const read = Blob.prototype.arrayBuffer;
        let delay = 400;
        Blob.prototype.arrayBuffer = async function () {
            const wait = delay;
            delay = 0;
            await new Promise((resolve) => setTimeout(resolve, wait));
            return read.call(this);
        };"""
    )
    screen.open()
    screen.file.set_input_files(first)
    screen.choose(second)
    screen.page.wait_for_timeout(600)
    expect(screen.picker).to_have_text("second.png")
    expect(screen.preview).to_have_attribute("alt", "Preview of second.png")


def test_the_upload_shows_how_far_it_has_come(screen: Screen, picture: Callable[..., Path]) -> None:
    path = picture("large.png", size=(900, 700))
    screen.open()
    screen.choose(path)
    session = screen.page.context.new_cdp_session(screen.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000}
    session.send("Network.emulateNetworkConditions", slow)
    screen.analyze.click()
    screen.page.wait_for_function(
        "() => { const { value } = document.querySelector('progress'); return value > 0 && value < 1; }"
    )
    expect(screen.stage).to_have_text("Uploading…")
    expect(screen.result).to_be_visible()
