"""A browser, the page in it, and pictures to give it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Playwright, expect, sync_playwright

from tests.browser.screen import Screen
from tests.support import executable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

# No sandbox, because CI runs as root in a container. The other flags stop the browser's own requests to the internet.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]

expect.set_options(timeout=15_000)


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """What starts browsers, once for this folder.

    Not for the whole session: while Playwright's synchronous API is open its event loop counts as running in this
    thread, and every later test that calls `asyncio.run` would fail.
    """
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The machine's Chromium."""
    path = executable("chromium", "chromium-browser", "google-chrome")
    browser = playwright.chromium.launch(executable_path=path, args=QUIET)
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def service(serve: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """The address of a real service with a real storage beside it, and the inline ceiling that it has on AWS."""
    with serve(MAX_CONTENT_LENGTH="4600000") as address:
        yield address


@contextmanager
def new_context(browser: Browser, server: str) -> Iterator[BrowserContext]:
    """A browser profile at the real server."""
    context = browser.new_context(base_url=server, viewport={"width": 1100, "height": 800})
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def fresh_context(chromium: Browser, server: str) -> Iterator[BrowserContext]:
    """A profile of the test's own, for those that set the clock, which goes for a whole profile, or count bytes."""
    with new_context(chromium, server) as context:
        yield context


@pytest.fixture(scope="package")
def profile(chromium: Browser, server: str) -> Iterator[BrowserContext]:
    """The profile of all others: a new one takes half a second. The first tab stays, and the process behind it."""
    with new_context(chromium, server) as context:
        context.new_page()
        yield context


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """The profile, in which nothing is left for the next test."""
    yield profile
    first, *others = profile.pages
    origins = {"{0.scheme}://{0.netloc}".format(urlsplit(page.url)) for page in others if page.url[:4] == "http"}
    for page in others:
        page.close()
    profile.set_offline(offline=False)
    profile.clear_permissions()
    profile.clear_cookies()
    session = profile.new_cdp_session(first)
    for origin in origins:
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    session.detach()


@pytest.fixture
def screen(context: BrowserContext) -> Iterator[Screen]:
    """A tab for the page, not yet loaded. Whatever the test does, no script may fail."""
    screen = Screen(context.new_page())
    yield screen
    assert screen.errors == []


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Makes an image file that no cache has seen: noise, so that no two have the same mean either."""

    def make(name: str = "photo.jpg", size: tuple[int, int] = (120, 80), mode: str = "RGB") -> Path:
        width, height = size
        noise = np.random.default_rng().integers(0, 256, (height, width, 3), dtype=np.uint8)
        path = tmp_path / name
        Image.fromarray(noise).convert(mode).save(path)
        return path

    return make


@pytest.fixture
def photo(picture: Callable[..., Path]) -> Path:
    """One such image: a JPEG of 120 by 80 pixels."""
    return picture()
