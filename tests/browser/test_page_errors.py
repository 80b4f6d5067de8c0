"""What goes wrong on the way is said in a sentence, and the page goes on working."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from playwright.sync_api import Route, expect

from tests.browser.screen import Screen
from tests.browser.test_page_states import SCREENSHOTS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import BrowserContext

PROBLEM = {
    "type": "about:blank",
    "title": "Processor failed",
    "status": 502,
    "detail": "The image could not be measured just now.",
    "code": "processor_failed",
    "request_id": "problem-1",
}


def fulfill_problem(route: Route, **changes: object) -> None:
    body = {**PROBLEM, **changes}
    route.fulfill(status=int(str(body["status"])), content_type="application/problem+json", body=json.dumps(body))


def test_a_problem_is_an_alert_of_one_sentence_that_is_dismissed_and_measuring_goes_on(
    screen: Screen, photo: Path
) -> None:
    screen.intercept(2, fulfill_problem)
    screen.open()
    screen.choose(photo)
    screen.analyze.click()
    expect(screen.alert).to_contain_text("problem-1")
    expect(screen.alert).not_to_contain_text("{")
    live = screen.page.locator("[role=alert], [role=status], [aria-live]")
    regions = ["stage", "alert", "said", "announced", "verdicts"]
    assert live.evaluate_all("regions => regions.map(({ id }) => id)") == regions
    sentence = "“\u2068photo.jpg\u2069” could not be measured. The image could not be measured just now."
    expect(screen.page.get_by_role("alert")).to_have_text(sentence)
    expect(screen.analyze).to_be_focused()
    screen.page.keyboard.press("Escape")
    expect(screen.alert).to_be_hidden()
    expect(screen.analyze).to_be_focused()
    screen.analyze.click()
    screen.dismiss.focus()
    screen.page.keyboard.press("Enter")
    expect(screen.alert).to_be_hidden()
    expect(screen.file).to_be_focused()
    screen.analyze.click()
    expect(screen.result).to_be_visible()
    expect(screen.alert).to_be_hidden()


ANSWERS = [
    (502, json.dumps({**PROBLEM, "detail": None}), "Processor failed"),
    *((status, json.dumps({**PROBLEM, "detail": f"No: {status}."}), f"No: {status}.") for status in (401, 403, 429)),
    # Not the service's own:
    (502, "<html><h1>Bad Gateway</h1></html>", "failed without an explanation (HTTP 502)"),
    (413, "<html><h1>Request Entity Too Large</h1></html>", "too large"),
    (500, "", "failed without an explanation (HTTP 500)"),
    (500, '"a string"', "failed without an explanation (HTTP 500)"),
    (200, "<html>Please log in to this network</html>", "not a measurement"),
    (200, "null", "not a measurement"),
    (200, '{"average_intensity": null}', "not a measurement"),
    (200, '{"average_intensity": 1.5}', "not a measurement"),
]


def test_whatever_is_no_measurement_is_explained(screen: Screen, photo: Path) -> None:
    answers = iter(ANSWERS)

    def answer(route: Route) -> None:
        status, body, _ = next(answers)
        route.fulfill(status=status, body=body, content_type="text/html")

    screen.intercept(len(ANSWERS), answer)
    screen.open()
    screen.choose(photo)
    for _, body, sentence in ANSWERS:
        screen.analyze.click()
        expect(screen.alert).to_contain_text(sentence)
        expect(screen.alert).not_to_contain_text("<")
        expect(screen.page.locator("#message-request-id")).to_have_text("problem-1" if "problem-1" in body else "")
        expect(screen.result).to_be_hidden()
        expect(screen.analyze).to_be_enabled()
        screen.dismiss.click()


def test_a_service_that_never_answers_is_given_up_on(fresh_context: BrowserContext, photo: Path) -> None:
    screen = Screen(fresh_context.new_page())
    screen.page.clock.install()
    screen.page.route("**/intensity?*", lambda _: None)
    screen.open()
    screen.choose(photo)
    with screen.page.expect_request("**/intensity?*"):
        screen.analyze.click()
    screen.page.clock.fast_forward(40_000)
    expect(screen.progress).to_be_visible()
    screen.page.clock.fast_forward(10_000)
    expect(screen.alert).to_contain_text("did not answer in time")
    expect(screen.analyze).to_be_enabled()


def test_a_lost_connection_leaves_the_last_result_and_says_that_it_is_from_before(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.measure(photo)
    number = screen.exact
    screen.page.route("**/intensity?*", lambda route: route.abort("connectionreset"))
    screen.analyze.click()
    expect(screen.alert).to_contain_text("photo.jpg")
    expect(screen.alert).to_contain_text("cannot be reached")
    expect(screen.result).to_be_visible()
    expect(screen.page.get_by_text("This result is from before: the last attempt failed.")).to_be_visible()
    assert screen.exact == number


def test_a_page_a_part_of_which_does_not_load_says_so(screen: Screen) -> None:
    told = screen.page.get_by_text("This page has not started yet.")
    screen.page.route("**/histogram.js", lambda route: route.abort())
    screen.page.goto("/")
    expect(told).to_be_hidden()
    screen.page.evaluate("document.getAnimations().forEach((each) => each.finish())")  # or it would take five seconds
    expect(told).to_be_visible()
    SCREENSHOTS.mkdir(exist_ok=True)
    screen.page.screenshot(path=SCREENSHOTS / "not-started.png")
    screen.page.unroute("**/histogram.js")
    screen.open()
    expect(told).to_have_count(0)
