"""The page under other settings of the browser: no scripts, forced colors, little motion, zoom, a large screen."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import QUIET
from tests.browser.gallery import SAMPLES, bracket
from tests.browser.screen import Screen
from tests.browser.test_page_layout import MINIMUM_CONTRAST, SCHEMES, contrast
from tests.browser.test_page_states import RULES, SCREENSHOTS, SIZES
from tests.support import executable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page, Playwright

# A page that is loaded anew, with the library that hashes large images left out: bytes on the wire.
MOST_BYTES = 90_000


def test_the_page_takes_less_than_90_kb_with_all_headers(fresh_context: BrowserContext) -> None:
    screen = Screen(fresh_context.new_page())
    received: dict[str, int] = {}
    session = screen.page.context.new_cdp_session(screen.page)
    session.on(
        "Network.loadingFinished", lambda event: received.update({event["requestId"]: event["encodedDataLength"]})
    )
    session.send("Network.enable")
    screen.open()
    screen.page.wait_for_load_state("networkidle")
    assert len(received) > 20
    assert sum(received.values()) < MOST_BYTES


SHIFTS = """window.shifted = 0;
const add = (list) => list.getEntries().forEach(({ value }) => { shifted += value; });
new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });"""


def test_nothing_moves_while_the_page_is_loaded(screen: Screen) -> None:
    """The limits of the service come late: one line in the middle."""
    screen.page.add_init_script(SHIFTS)
    for width in (390, 1280):
        screen.page.set_viewport_size({"width": width, "height": 840})
        screen.open_and_wait_for_limits()
        expect(screen.page.locator("#limits")).to_contain_text("megapixels")
        assert screen.page.evaluate("shifted") < 0.01


@pytest.fixture
def without_scripts(playwright: Playwright, server: str, tmp_path: Path) -> Iterator[Page]:
    """The page in a Chromium whose user has switched JavaScript off.

    Playwright's own switch leaves `noscript` hidden, which the user's does not.
    """
    preferences = tmp_path / "profile/Default/Preferences"
    preferences.parent.mkdir(parents=True)
    preferences.write_text(json.dumps({"profile": {"default_content_setting_values": {"javascript": 2}}}))
    path = executable("chromium", "chromium-browser", "google-chrome")
    profile = playwright.chromium.launch_persistent_context(tmp_path / "profile", executable_path=path, args=QUIET)
    [page] = profile.pages
    page.goto(server)
    yield page
    profile.close()


def test_without_scripts_the_page_says_so_in_one_column_and_leads_to_the_api(without_scripts: Page) -> None:
    page, notice = without_scripts, without_scripts.locator("noscript p")
    SCREENSHOTS.mkdir(exist_ok=True)
    for (name, (width, height)), scheme in product(SIZES.items(), SCHEMES):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"noscript-{name}-{scheme}.png", full_page=True)
        box = notice.bounding_box()
        assert box
        margin = box["x"]
        assert box["width"] == pytest.approx(width - 2 * margin, abs=1)
        assert margin <= 48
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert contrast(notice) >= MINIMUM_CONTRAST
        assert contrast(notice.locator("a")) >= MINIMUM_CONTRAST
    expect(notice).to_have_text("This page needs JavaScript. Programs can use the API directly.")
    expect(notice.locator("a")).to_have_attribute("href", "docs")
    expect(page.locator("form, .panels")).to_have_count(2)
    for useless in page.locator("form, #options, .panels").all():
        expect(useless).to_be_hidden()


def test_with_forced_colors_what_counts_can_be_seen_and_axe_finds_nothing(screen: Screen, tmp_path: Path) -> None:
    screen.page.emulate_media(forced_colors="active")
    screen.open()
    screen.measure(SAMPLES / "photo.jpg")
    behind = screen.page.locator("#plot svg").evaluate("plot => getComputedStyle(plot).backgroundColor")
    for selector, name in (("#bars", "fill"), ("#mean", "stroke"), ("#median", "stroke")):
        assert screen.page.locator(selector).evaluate(f"mark => getComputedStyle(mark).{name}") != behind
    swatch = screen.page.locator("#swatch").evaluate("swatch => getComputedStyle(swatch).backgroundColor")
    assert swatch == "rgb(132, 132, 132)"
    assert Axe().run(screen.page, options=RULES).response["violations"] == []
    screen.choose(SAMPLES / "gray-card.png")
    expect(screen.analyze).to_have_css("forced-color-adjust", "none")
    screen.measure_all(bracket(tmp_path)[:2])
    expect(screen.page.locator("#rows .shown")).to_have_css("outline-style", "solid")
    expect(screen.rows.first).to_have_css("outline-style", "none")


def test_with_little_motion_an_unknown_amount_does_not_look_like_none(screen: Screen, photo: Path) -> None:
    screen.page.emulate_media(reduced_motion="reduce")
    screen.page.route("**/intensity?*", lambda _: None)
    screen.open()
    screen.choose(photo)
    screen.analyze.click()
    screen.progress.evaluate("bar => bar.removeAttribute('value')")  # as while the service measures
    look = screen.progress.evaluate("bar => getComputedStyle(bar).backgroundImage")
    assert look.startswith("repeating-linear-gradient")


def test_zoomed_in_everything_can_be_reached_without_scrolling_sideways(screen: Screen, tmp_path: Path) -> None:
    """A window of 1280 by 900 that is zoomed is one of so many fewer CSS pixels."""
    screen.open()
    screen.measure_all(bracket(tmp_path)[:3])
    for zoom in (2, 4):
        screen.page.set_viewport_size({"width": 1280 // zoom, "height": 900 // zoom})
        screen.show(zoom // 2)
        expect(screen.page.locator("#plot")).to_be_in_viewport()
        for name in ("Copy JSON", "Download CSV", "Clear list"):
            button = screen.button(name)
            button.scroll_into_view_if_needed()
            button.click(trial=True)  # nothing lies over it
        assert screen.page.evaluate("document.documentElement.scrollWidth") <= 1280 // zoom


def test_on_a_4k_screen_the_page_is_in_the_middle_and_the_result_is_on_it(screen: Screen) -> None:
    screen.page.set_viewport_size({"width": 3840, "height": 2160})
    screen.open()
    screen.measure(SAMPLES / "photo.jpg")
    box = screen.page.locator("main").bounding_box()
    assert box
    assert box["width"] <= 1500
    assert abs(box["x"] + box["width"] / 2 - 1920) < 10
    expect(screen.button("Copy as curl")).to_be_in_viewport()
