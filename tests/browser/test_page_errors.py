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


def analyze_with_answer(screen: Screen, photo: Path, status: int, body: str, content_type: str) -> None:
    """Choose and analyze; this one measurement gets the given answer."""

    def answer(route: Route) -> None:
        route.fulfill(status=status, body=body, content_type=content_type)

    screen.intercept(1, answer)
    screen.open()
    screen.choose(photo)
    screen.analyze.click()
    expect(screen.alert).to_be_visible()


def analyze_with_problem(screen: Screen, photo: Path, **changes: object) -> None:
    body = json.dumps({**PROBLEM, **changes})
    analyze_with_answer(screen, photo, status=502, content_type="application/problem+json", body=body)


def test_a_problem_is_shown_by_its_detail_and_request_id_and_not_as_json(screen: Screen, photo: Path) -> None:
    analyze_with_problem(screen, photo)
    expect(screen.alert).to_contain_text("The image could not be measured just now.")
    expect(screen.alert).to_contain_text("problem-1")
    expect(screen.alert).not_to_contain_text("{")


def test_a_problem_without_detail_is_shown_by_its_title(screen: Screen, photo: Path) -> None:
    analyze_with_problem(screen, photo, detail=None)
    expect(screen.alert).to_contain_text("Processor failed")


NOT_ITS_OWN = [
    (502, "<html><h1>Bad Gateway</h1></html>", "failed without an explanation (HTTP 502)"),
    (413, "<html><h1>Request Entity Too Large</h1></html>", "too large"),
    (500, "", "failed without an explanation (HTTP 500)"),
    (500, '"a string"', "failed without an explanation (HTTP 500)"),
    (200, "<html>Please log in to this network</html>", "not a measurement"),
    (200, "null", "not a measurement"),
    (200, '{"average_intensity": null}', "not a measurement"),
    (200, '{"average_intensity": 1.5}', "not a measurement"),
]


def test_an_answer_that_is_not_the_services_own_is_explained(screen: Screen, photo: Path) -> None:
    answers = iter(NOT_ITS_OWN)

    def answer(route: Route) -> None:
        status, body, _ = next(answers)
        route.fulfill(status=status, body=body, content_type="text/html")

    screen.intercept(len(NOT_ITS_OWN), answer)
    screen.open()
    screen.choose(photo)
    for _, _, sentence in NOT_ITS_OWN:
        screen.analyze.click()
        expect(screen.alert).to_contain_text(sentence)
        expect(screen.alert).not_to_contain_text("<")
        expect(screen.result).to_be_hidden()
        screen.dismiss.click()


def test_a_broken_connection_says_that_the_service_cannot_be_reached(screen: Screen, photo: Path) -> None:
    screen.page.route("**/intensity?*", lambda route: route.abort("connectionreset"))
    screen.open()
    screen.choose(photo)
    screen.analyze.click()
    expect(screen.alert).to_contain_text("cannot be reached")


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


def test_after_an_error_the_same_image_can_be_analyzed_again(screen: Screen, photo: Path) -> None:
    analyze_with_problem(screen, photo)
    screen.analyze.click()
    expect(screen.result).to_be_visible()
    expect(screen.alert).to_be_hidden()


def test_a_lost_connection_leaves_the_last_result_and_says_that_it_is_from_before(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.measure(photo)
    number = screen.exact
    screen.page.route("**/intensity?*", lambda route: route.abort())
    screen.analyze.click()
    expect(screen.alert).to_contain_text("photo.jpg")
    expect(screen.alert).to_contain_text("cannot be reached")
    expect(screen.result).to_be_visible()
    expect(screen.page.get_by_text("This result is from before: the last attempt failed.")).to_be_visible()
    assert screen.exact == number


def test_what_a_service_that_refuses_the_client_answers_is_said_plainly(screen: Screen, photo: Path) -> None:
    statuses = iter([401, 403, 429])

    def refuse(route: Route) -> None:
        status = next(statuses)
        body = json.dumps({**PROBLEM, "status": status, "detail": f"Refused with {status}."})
        route.fulfill(status=status, body=body, content_type="application/problem+json")

    screen.intercept(3, refuse)
    screen.open()
    screen.choose(photo)
    for status in (401, 403, 429):
        screen.analyze.click()
        expect(screen.alert).to_contain_text(f"Refused with {status}.")
        expect(screen.alert).to_contain_text("problem-1")
        expect(screen.analyze).to_be_enabled()


def test_an_error_is_an_alert_and_only_its_sentence_is_read_aloud(screen: Screen, photo: Path) -> None:
    analyze_with_problem(screen, photo)
    live = screen.page.locator("[role=alert], [role=status], [aria-live]")
    assert live.evaluate_all("regions => regions.map(({ id }) => id)") == [
        "stage",
        "alert",
        "said",
        "announced",
        "verdicts",
    ]
    sentence = "“\u2068photo.jpg\u2069” could not be measured. The image could not be measured just now."
    expect(screen.page.get_by_role("alert")).to_have_text(sentence)


def test_a_damaged_image_is_named_and_the_result_says_that_there_is_none(screen: Screen, photo: Path) -> None:
    photo.write_bytes(photo.read_bytes()[:-100])
    screen.open()
    screen.choose(photo)
    screen.analyze.click()
    expect(screen.alert).to_contain_text("photo.jpg")
    expect(screen.page.get_by_text("This image could not be measured.")).to_be_visible()
    expect(screen.result).to_be_hidden()


def test_the_dismiss_button_takes_the_alert_away_and_hands_the_focus_on(screen: Screen, photo: Path) -> None:
    analyze_with_problem(screen, photo)
    screen.dismiss.focus()
    screen.page.keyboard.press("Enter")
    expect(screen.alert).to_be_hidden()
    expect(screen.file).to_be_focused()


def test_escape_takes_the_alert_away_and_leaves_the_focus_where_it_is(screen: Screen, photo: Path) -> None:
    analyze_with_problem(screen, photo)
    expect(screen.analyze).to_be_focused()
    screen.page.keyboard.press("Escape")
    expect(screen.alert).to_be_hidden()
    expect(screen.analyze).to_be_focused()


def test_a_page_a_part_of_which_does_not_load_says_so(screen: Screen) -> None:
    told = screen.page.get_by_text("This page has not started yet.")
    screen.page.route("**/histogram.js", lambda route: route.abort())
    screen.page.goto("/")
    expect(told).to_be_hidden()
    screen.page.evaluate("document.getAnimations().forEach((each) => each.finish())")  # or it would take five seconds
    expect(told).to_be_visible()
    screen.page.screenshot(path=SCREENSHOTS / "not-started.png")
    screen.page.unroute("**/histogram.js")
    screen.open()
    expect(told).to_have_count(0)
