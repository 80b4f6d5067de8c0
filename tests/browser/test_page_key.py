"""Where the service wants an API key, the page asks for it, and says plainly when the key is refused."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Request, expect

from tests.browser.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from playwright.sync_api import BrowserContext

KEY = "7uKo2-a_key-that-one_client-has"
SMALL = "50000"


@pytest.fixture(scope="module")
def server(serve: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """The address of a service that wants a key. Files above 50 kB go to its storage first."""
    keys = sha256(KEY.encode()).hexdigest()
    with serve(API_KEYS=keys, RATE_LIMIT_PER_KEY="0", MAX_CONTENT_LENGTH=SMALL) as address:
        yield address


@pytest.fixture
def context(fresh_context: BrowserContext) -> BrowserContext:
    """At a server of its own."""
    return fresh_context


class Question:
    """The page's question for a key."""

    def __init__(self, screen: Screen) -> None:
        self.dialog: Locator = screen.page.get_by_role("dialog", name="API key")
        self.input = self.dialog.get_by_label("Key", exact=True)
        self.message = self.dialog.get_by_role("alert")

    def answer(self, key: str) -> None:
        self.input.fill(key)
        self.dialog.get_by_role("button", name="Use this key").click()

    def decline(self) -> None:
        self.dialog.get_by_role("button", name="No key").click()


@pytest.fixture
def question(screen: Screen) -> Question:
    return Question(screen)


def analyze(screen: Screen, path: Path) -> None:
    screen.choose(path)
    screen.analyze.click()


def key_of(request: Request) -> str | None:
    return request.headers.get("x-api-key")


def test_the_page_asks_for_a_key_sends_it_asks_no_more_and_forgets_it_with_the_tab(
    screen: Screen, question: Question, context: BrowserContext, picture: Callable[..., Path]
) -> None:
    screen.open()
    analyze(screen, picture("one.png"))
    expect(question.message).to_have_text("This service needs an API key. Whoever runs the service gives you one.")
    expect(question.input).to_be_focused()
    question.answer(KEY)
    expect(screen.result).to_be_visible()
    expect(question.dialog).to_have_count(0)
    screen.measure(picture("two.png"))
    screen.open()
    screen.measure(picture("three.png"))
    assert [key_of(request) for request in screen.uploads] == [None, KEY, KEY, KEY]
    assert screen.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    another = Screen(context.new_page())
    another.open()
    analyze(another, picture("four.png"))
    expect(Question(another).dialog).to_be_visible()


def test_what_cannot_be_a_key_is_not_sent_and_one_that_is_refused_is_not_kept(
    screen: Screen, question: Question, photo: Path
) -> None:
    screen.open()
    analyze(screen, photo)
    question.answer("two words")
    expect(question.message).to_contain_text("This cannot be a key")
    assert [key_of(request) for request in screen.uploads] == [None]
    question.answer("wrong")
    expect(question.message).to_have_text("The service refused this key. Check it, or ask whoever runs the service.")
    expect(question.input).to_have_value("")
    assert screen.page.evaluate("sessionStorage.getItem('api-key')") is None
    question.answer(f"  {KEY}\t")
    expect(screen.result).to_be_visible()


def test_without_a_key_the_page_says_what_the_service_says_and_asks_again_the_next_time(
    screen: Screen, question: Question, photo: Path
) -> None:
    screen.open()
    screen.choose(photo)
    for decline in (question.decline, lambda: screen.page.keyboard.press("Escape")):
        screen.analyze.click()
        expect(question.dialog).to_be_visible()
        decline()
        expect(question.dialog).to_have_count(0)
        expect(screen.alert).to_contain_text("This service needs an API key in the header X-API-Key.")
    screen.analyze.click()
    question.answer(KEY)
    expect(screen.result).to_be_visible()


def test_a_large_image_goes_to_the_storage_without_the_key(
    screen: Screen, question: Question, picture: Callable[..., Path]
) -> None:
    posts: list[Request] = []
    screen.page.on("request", lambda request: posts.append(request) if request.method == "POST" else None)
    screen.open_and_wait_for_limits()
    analyze(screen, picture("large.png", (200, 200)))
    question.answer(KEY)
    expect(screen.result).to_be_visible()
    assert [(urlsplit(request.url).path, key_of(request)) for request in posts] == [
        ("/uploads", None),
        ("/uploads", KEY),
        ("/uploads/file", None),
        ("/intensity", KEY),
    ]


def test_a_firewall_that_refuses_is_not_taken_for_a_question(screen: Screen, question: Question, photo: Path) -> None:
    screen.page.route("**/intensity*", lambda route: route.fulfill(status=403, body="<html>Forbidden</html>"))
    screen.open()
    analyze(screen, photo)
    expect(screen.alert).to_contain_text("HTTP 403")
    expect(question.dialog).to_have_count(0)


def test_an_image_that_is_cancelled_while_the_page_asks_is_not_sent(
    screen: Screen, question: Question, photo: Path
) -> None:
    screen.open()
    analyze(screen, photo)
    expect(question.dialog).to_be_visible()
    screen.page.evaluate("document.getElementById('cancel').click()")
    question.answer(KEY)
    expect(question.dialog).to_have_count(0)
    expect(screen.result).to_be_hidden()
    assert [key_of(request) for request in screen.uploads] == [None]
