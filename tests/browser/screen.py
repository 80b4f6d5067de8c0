"""The page as a user meets it: its controls by their names, and what it asked of the network meanwhile."""

from __future__ import annotations

import itertools
import re
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Route, expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


LOADS = 5


def _note_broken(broken: list[str], request: Request) -> None:
    if "ERR_NETWORK_CHANGED" in (request.failure or ""):
        broken.append(request.url)


class Screen:
    """One open page. `uploads` are the measurements it requested, `errors` what went wrong in its scripts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.uploads: list[Request] = []
        self.errors: list[str] = []
        self.file = page.get_by_label("Choose image files")
        self.picker = page.locator("#file-name")
        self.analyze = page.locator("#analyze")
        self.clear = page.get_by_role("button", name="Deselect")
        self.cancel = page.get_by_role("button", name="Cancel")
        self.alert = page.locator("#message.error")
        self.dismiss = page.get_by_role("button", name="Dismiss")
        self.said = page.locator("#said")
        self.stage = page.locator("#stage")
        self.message = page.locator("#message")
        self.rows = page.locator("#rows tr")
        self.names = self.rows.locator(".name bdi")
        self.averages = self.rows.locator(".average")
        self.totals = page.locator("#totals")
        self.preview = page.locator("#picture img")
        self.result = page.locator("#result")
        self.progress = page.get_by_role("progressbar")
        page.on("request", self._note_request)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def intercept(self, count: int, handle: Callable[[Route], None]) -> None:
        """Let `handle` answer the first `count` measurements. The service answers all others.

        Playwright's own `times=` takes its handler away after the last time, while requests may still be held for it.
        Those then reach the service.
        """
        numbers = itertools.count()
        self.page.route("**/intensity?*", lambda route: handle(route) if next(numbers) < count else route.fallback())

    def hold(self, count: int = 1, after: int = 0, path: str = "**/intensity?*") -> list[Route]:
        """Hold so many measurements after the first ones; the others are answered. Returns those that are held."""
        held: list[Route] = []
        numbers = itertools.count()

        def handle(route: Route) -> None:
            if after <= next(numbers) < after + count:
                held.append(route)
            else:
                route.fallback()

        self.page.route(path, handle)
        return held

    def open(self, address: str = "/") -> None:
        """Load the page."""
        self._load(partial(self.page.goto, address))

    def reload(self) -> None:
        """Load the page again."""
        self._load(self.page.reload)

    def open_and_wait_for_limits(self, address: str = "/") -> None:
        """Load the page and wait until it has asked for the limits of the service, successfully or not."""
        self.open(address)
        expect(self.file).to_have_attribute("accept", re.compile(r"\.png"))

    def _load(self, load: Callable[[], object]) -> None:
        """Load the page, again if a container that came or went on this machine broke its requests.

        Chromium ends the requests of all pages when a network interface comes or goes.
        """
        for _ in range(LOADS):
            broken: list[str] = []
            note = partial(_note_broken, broken)
            self.page.on("requestfailed", note)
            load()
            self.page.remove_listener("requestfailed", note)
            if not broken:
                return
            self.errors.clear()

    def choose(self, path: Path) -> None:
        """Choose a file that the page accepts, alone."""
        self.file.set_input_files(path)
        expect(self.picker).to_have_text(path.name)
        expect(self.analyze).to_be_enabled()

    def measure(self, path: Path) -> None:
        """Choose a file and wait for its result."""
        self.choose(path)
        self.analyze.click()
        expect(self.analyze).to_be_enabled()
        expect(self.result).to_be_visible()

    def measure_all(self, paths: list[Path]) -> None:
        """Choose several files that can be measured, and wait for their results."""
        self.file.set_input_files(paths)
        expect(self.analyze).to_have_text(f"Analyze {len(paths)}")
        self.analyze.click()
        expect(self.said).to_contain_text(f"{len(paths)} images measured.")

    def drop(self, *paths: Path, steps: Iterable[str] = ("dragEnter", "dragOver", "drop")) -> None:
        """Drag files and folders over the page, and drop them."""
        session = self.page.context.new_cdp_session(self.page)
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for step in steps:
            session.send("Input.dispatchDragEvent", {"type": step, "x": 300, "y": 300, "data": data})

    def choose_option(self, value: str, label: str = "Gray from color") -> None:
        """Open the options and choose one."""
        self.page.locator("#options").evaluate("details => { details.open = true; }")
        self.page.get_by_label(label).select_option(value)

    def show(self, place: int) -> None:
        """Show the image of a row."""
        self.rows.nth(place).locator(".select").click()

    def compare(self, place: int) -> None:
        """Compare the image of a row with the reference."""
        self.show(place)
        self.button("Compare with the reference").click()

    def button(self, name: str) -> Locator:
        """A button by its name."""
        return self.page.get_by_role("button", name=name)

    def button_of(self, place: int, name: str) -> Locator:
        """A button of a row."""
        return self.rows.nth(place).get_by_role("button", name=name)

    def saved(self, button: str) -> str:
        """The text of the file that a button saves."""
        with self.page.expect_download() as download:
            self.button(button).click()
        return download.value.path().read_text("utf-8-sig")

    def field(self, name: str) -> Locator:
        """One value of the result, by its `data-field`."""
        return self.page.locator(f"[data-field={name}]")

    @property
    def exact(self) -> float:
        """The unrounded intensity on screen."""
        return float(self.field("exact").inner_text())

    def _note_request(self, request: Request) -> None:
        if request.method == "POST" and urlsplit(request.url).path.endswith("/intensity"):
            self.uploads.append(request)

    def _note_console(self, message: ConsoleMessage) -> None:
        # Chromium reports every status from 400 on its own; the tests that provoke one look at the page instead.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)
