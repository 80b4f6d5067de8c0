"""`python -m tests.browser.pictures [pictures/phone ...]` takes the pictures of the docs anew. Look at them first."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

from tests.browser import test_page_states as states
from tests.browser.conftest import QUIET
from tests.browser.screen import Screen
from tests.server import running_server
from tests.support import executable

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

FOLDER = Path(__file__).parents[2] / "docs"
DESKTOP, PHONE = (1280, 900), (390, 844)


def pixel(screen: Screen, folder: Path) -> None:
    """A region, and the pointer over the picture."""
    states.region(screen, folder)
    screen.page.locator(".stage").hover(position={"x": 120, "y": 60})


PICTURES: dict[str, tuple[Callable[[Screen, Path], None], tuple[int, int], bool]] = {
    "page": (states.one, DESKTOP, False),
    "pictures/empty": (states.empty, DESKTOP, False),
    "pictures/many": (states.many, DESKTOP, False),
    "pictures/comparison": (states.comparison, DESKTOP, False),
    "pictures/region": (pixel, DESKTOP, False),
    "pictures/phone": (states.one, PHONE, False),
    "pictures/dark": (states.one, DESKTOP, True),
}


def take(browser: Browser, address: str, name: str) -> None:
    """Reach a state of the page and save its picture: on a phone what is on the screen, else the whole page."""
    reach, (width, height), is_dark = PICTURES[name]
    is_phone = width < height
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        color_scheme="dark" if is_dark else "light",
        device_scale_factor=1.4 if is_phone else 1,
        has_touch=is_phone,
        is_mobile=is_phone,
    )
    screen = Screen(context.new_page())
    with TemporaryDirectory() as folder:
        reach(screen, Path(folder))
        expect(screen.progress).to_be_hidden()
        if not is_phone:
            screen.page.evaluate("scrollTo(0, 0)")  # or what stays in view while one scrolls would lie elsewhere
        screen.page.wait_for_timeout(300)
        screen.page.screenshot(path=FOLDER / f"{name}.png", full_page=not is_phone)
    context.close()


def main() -> None:
    """Take all of them."""
    path = executable("chromium", "chromium-browser", "google-chrome")
    with running_server() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        for name in sys.argv[1:] or PICTURES:
            take(browser, server.address, name)
        browser.close()


if __name__ == "__main__":
    main()
