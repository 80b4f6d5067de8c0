"""Large images through the page, the service and a real storage."""

from __future__ import annotations

import os
import re
import socket
from contextlib import ExitStack, contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Request, Route

    from tests.browser.screen import Screen

# The longest that one of these takes on a busy machine.
LONGEST_MS = 90_000
# How much of a file is in memory at a time.
WATCH = """window.readAtOnce = 0;
const read = Blob.prototype.arrayBuffer;
Blob.prototype.arrayBuffer = function () {
    readAtOnce = Math.max(readAtOnce, this.size);
    return read.call(this);
};"""


@pytest.fixture
def sent(screen: Screen, service: str) -> list[str]:
    """What the page posts, by what it does; the page is open."""
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            names = {f"{service}/uploads": "announced", f"{service}/intensity": "measured"}
            sent.append(names.get(request.url.partition("?")[0], "uploaded"))

    screen.page.on("request", note)
    screen.page.add_init_script(WATCH)
    screen.open_and_wait_for_limits(service)
    return sent


@pytest.fixture
def noise(tmp_path: Path) -> Callable[[int], tuple[Path, float]]:
    """Makes a PNG of about so many bytes that no cache has seen, and says its intensity."""

    def make(size: int) -> tuple[Path, float]:
        side = int((size / 3) ** 0.5)
        image = Image.fromarray(np.random.default_rng().integers(0, 256, (side, side, 3), dtype=np.uint8))
        path = tmp_path / f"{size}.png"
        image.save(path, compress_level=0)
        return path, float(np.asarray(image.convert("L")).mean())

    return make


@contextmanager
def breaking_once(url: str, after: int) -> Iterator[str]:
    """Another way to `url` that breaks once, after so many bytes; yields its address."""
    parts = urlsplit(url)
    left = [after]

    class Way(BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((parts.hostname or "", parts.port or 80)) as storage:
                Thread(target=self.answer, args=(storage,)).start()
                while data := self.request.recv(65_536):
                    if left and left[0] < len(data):
                        left.clear()
                        return
                    if left:
                        left[0] -= len(data)
                    storage.sendall(data)

        def answer(self, storage: socket.socket) -> None:
            with suppress(OSError):
                while data := storage.recv(65_536):
                    self.request.sendall(data)

    with ThreadingTCPServer(("127.0.0.1", 0), Way) as server:
        server.daemon_threads = True
        server.block_on_close = False
        Thread(target=server.serve_forever, args=[0.01]).start()
        yield f"http://127.0.0.1:{server.server_address[1]}{parts.path}"
        server.shutdown()


@pytest.mark.parametrize(
    ("size", "route"),
    [
        (4_500_000, ["measured"]),
        (90_000_000, ["announced", "uploaded", "measured"]),
    ],
)
def test_an_image_of_any_size_has_its_number_and_the_second_time_it_is_not_uploaded(
    screen: Screen, sent: list[str], noise: Callable[[int], tuple[Path, float]], size: int, route: list[str]
) -> None:
    path, intensity = noise(size)
    screen.choose(path)
    screen.analyze.click()
    expect(screen.result).to_be_visible(timeout=LONGEST_MS)
    assert sent == route
    assert screen.exact == intensity
    expect(screen.field("filename")).to_have_text(path.name)
    expect(screen.field("bytes")).to_have_text(f"{path.stat().st_size:,} bytes")
    expect(screen.field("cache")).to_contain_text("measured now")
    sent.clear()
    screen.analyze.click()
    expect(screen.field("cache")).to_contain_text("answered from the cache", timeout=LONGEST_MS)
    assert sent == [step for step in route if step != "uploaded"]
    assert screen.exact == intensity
    assert screen.page.evaluate("readAtOnce") <= 1_000_000


def test_an_upload_goes_on_by_itself_after_the_connection_broke(
    screen: Screen, service: str, sent: list[str], noise: Callable[[int], tuple[Path, float]]
) -> None:
    path, intensity = noise(8_000_000)
    # The way that breaks has a port of its own, which the policy of the page does not allow.
    screen.page.context.new_cdp_session(screen.page).send("Page.setBypassCSP", {"enabled": True})
    screen.open_and_wait_for_limits(service)
    with ExitStack() as ways:

        def lead_there(route: Route) -> None:
            answer = route.fetch()
            slot = answer.json()
            way = ways.enter_context(breaking_once(slot["url"], after=3_000_000))
            route.fulfill(response=answer, json={**slot, "url": way})

        screen.page.route("**/uploads", lead_there)
        screen.choose(path)
        screen.analyze.click()
        expect(screen.stage).to_have_text("Connection lost. Trying again…")
        assert sent == ["announced", "uploaded"]
        expect(screen.result).to_be_visible(timeout=LONGEST_MS)
    assert screen.exact == intensity
    assert sent == ["announced", "uploaded", "uploaded", "measured"]


@pytest.mark.parametrize("later", [10, 0])
def test_a_file_that_changes_before_it_is_uploaded_is_asked_for_again_and_has_no_number(
    screen: Screen, sent: list[str], noise: Callable[[int], tuple[Path, float]], later: int
) -> None:
    """By its date the browser notices, and ends the upload like a lost connection; by its content, the storage does."""
    path, _ = noise(5_000_000)
    date = path.stat().st_mtime

    def change(route: Route) -> None:
        with path.open("r+b") as file:
            file.seek(1_000_000)
            file.write(b"edited")
        os.utime(path, (date + later, date + later))
        route.continue_()

    screen.page.route("**/uploads", change)
    screen.choose(path)
    screen.analyze.click()
    expect(screen.alert).to_contain_text(re.compile("changed .* choose it again", re.IGNORECASE))
    expect(screen.result).to_be_hidden()
    assert sent == ["announced", "uploaded"]
