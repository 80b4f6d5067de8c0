"""The page in Firefox, in the dark: one image, several with a bad one, a region. All else is tested in Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import SAMPLES, bracket, problems
from tests.browser.test_page_journey import luma_mean
from tests.browser.test_page_layout import COLORS, luminance
from tests.browser.test_page_region import bounds, draw, measured, select, typed
from tests.browser.test_page_region import luma_mean as mean_of_region
from tests.support import executable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Playwright

    from tests.browser.screen import Screen

PHOTO = SAMPLES / "photo.jpg"
SCRIPT = "document.body.append(Object.assign(document.createElement('script'), { textContent: 'this is refused' }))"


@pytest.fixture(scope="module")
def firefox(playwright: Playwright) -> Iterator[Browser]:
    """The machine's Firefox with a fresh profile, whose user likes it dark."""
    path = executable("firefox-esr", "firefox")
    # Without the channel, Playwright expects a Firefox that it has built itself.
    browser = playwright.firefox.launch(
        executable_path=path, channel="moz-firefox", firefox_user_prefs={"ui.systemUsesDarkTheme": 1}
    )
    yield browser
    browser.close()


@pytest.fixture
def context(firefox: Browser, server: str) -> Iterator[BrowserContext]:
    """A tab of it, as those of Chromium in the other tests."""
    context = firefox.new_context(base_url=server, viewport={"width": 1100, "height": 800})
    context.set_default_timeout(30_000)
    yield context
    context.close()


def test_an_image_is_chosen_measured_and_drawn_in_the_dark(screen: Screen) -> None:
    with Image.open(PHOTO) as image:
        counts = np.bincount(np.asarray(image.convert("L")).ravel(), minlength=256)
    unit = 100 / counts.max()
    screen.open_and_wait_for_limits()
    screen.measure(PHOTO)
    assert screen.exact == luma_mean(PHOTO)
    bars = screen.page.locator("#bars")
    expect(bars).to_have_attribute("d", f"M0 100{''.join(f'V{100 - count * unit:.2f}h1' for count in counts)}V100Z")
    assert bounds(bars)["height"] > 100
    expect(screen.preview).to_have_js_property("naturalWidth", 960)
    assert luminance(screen.page.locator("h1").evaluate(COLORS)[1]) < 0.05


def test_of_several_images_the_bad_one_is_named_and_a_reload_keeps_the_list(screen: Screen, tmp_path: Path) -> None:
    paths = [*bracket(tmp_path)[:2], problems(tmp_path)[0]]
    screen.open_and_wait_for_limits()
    screen.file.set_input_files(paths)
    screen.analyze.click()
    expect(screen.said).to_have_text("2 of 3 images measured; 1 damaged or unsupported.")
    averages = [f"{luma_mean(path):.2f}" for path in paths[:2]]
    assert screen.rows.locator(".average").all_text_contents() == [*averages, "\N{EN DASH}"]
    expect(screen.rows.nth(2)).to_contain_text("corrupt.png")
    expect(screen.rows.nth(2).locator(".status-text")).to_have_text("damaged")
    screen.reload()
    expect(screen.page.locator("#totals")).to_have_text("3 images: 2 measured, 1 failed")


def test_a_region_is_drawn_with_the_mouse_and_measured(screen: Screen) -> None:
    screen.open_and_wait_for_limits()
    screen.choose(PHOTO)
    select(screen)
    draw(screen, (0.1, 0.2), (0.5, 0.6))
    x, y, width, height = typed(screen)
    assert [x, y, width, height] == pytest.approx([96, 128, 384, 256], abs=4)
    assert measured(screen) == mean_of_region(PHOTO, [x, y, width, height])


def test_what_the_page_may_not_do_is_noticed(screen: Screen) -> None:
    """Or the tests above would not prove that it does nothing of the kind."""
    screen.open()
    screen.page.evaluate(SCRIPT)
    expect(screen.page.locator("script")).to_have_count(2)
    [error] = screen.errors
    assert "violates the following directive" in error
    screen.errors.clear()
