"""The page as a user meets it: its controls by their names, and what it asked of the network meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

if TYPE_CHECKING:
    from pathlib import Path


class Screen:
    """One open page. `uploads` are the measurements it requested, `errors` what went wrong in its scripts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.uploads: list[Request] = []
        self.errors: list[str] = []
        self.file = page.get_by_label("Choose image file")
        self.picker = page.locator("label")
        self.analyze = page.get_by_role("button", name="Analyze")
        self.clear = page.get_by_role("button", name="Clear")
        self.cancel = page.get_by_role("button", name="Cancel")
        self.alert = page.get_by_role("alert")
        self.dismiss = page.get_by_role("button", name="Dismiss")
        self.preview = page.locator("#picture img")
        self.result = page.locator("#result")
        self.progress = page.get_by_role("progressbar")
        page.on("request", self._note_request)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, address: str = "/") -> None:
        """Load the page."""
        self.page.goto(address)

    def open_and_wait_for_limits(self, address: str = "/") -> None:
        """Load the page and wait until it has asked for the limits of the service, successfully or not."""
        self.page.goto(address, wait_until="networkidle")

    def choose(self, path: Path) -> None:
        """Choose a file that the page accepts."""
        self.file.set_input_files(path)
        expect(self.analyze).to_be_enabled()

    def measure(self, path: Path) -> None:
        """Choose a file and wait for its result."""
        self.choose(path)
        self.analyze.click()
        expect(self.result).to_be_visible()

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
