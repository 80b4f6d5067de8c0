"""How smooth the page stays with 500 images: `python -m tests.bench.page`.

It starts the server of this working copy, opens the page in this machine's Chromium at full speed, and does what a user
does with 500 small images. The first step is without the page's scripts: it is what the browser itself takes to hand
over the files. For each step it prints the longest time between two frames, how many frames took more than 50 ms, the
longest task of the page's thread, the longest script in a frame above 50 ms (so much of a task is the page's own), and
afterwards the heap, the elements and the object URLs that are not released. "Others" is what all other programs of the
machine took of its cores meanwhile: where that is more than a few percent, a late frame says nothing about the page.

IMAGES=1000 takes another number. ROUNDS=5 takes all steps so often, and prints of each step the round in which others
took least.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import QUIET
from tests.server import running_server
from tests.support import executable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, ViewportSize

IMAGES = int(os.environ.get("IMAGES", "500"))
ROUNDS = int(os.environ.get("ROUNDS", "1"))
# A frame or a task that takes longer can be noticed (the limit of the browsers' own "long tasks").
LONG_MS = 50
SETTLE_MS = 600
SIZE: ViewportSize = {"width": 1280, "height": 900}
# In the page: the time between frames, the long tasks, the scripts in long frames, and the object URLs that are alive.
WATCH = """
window.watched = { frames: [], tasks: [], scripts: [], urls: new Set() };
let before = performance.now();
const frame = (now) => { watched.frames.push(now - before); before = now; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
new PerformanceObserver((list) => watched.tasks.push(...list.getEntries().map(({ duration }) => duration)))
    .observe({ type: "longtask", buffered: true });
new PerformanceObserver((list) => {
    for (const { scripts } of list.getEntries()) watched.scripts.push(...scripts.map(({ duration }) => duration));
}).observe({ type: "long-animation-frame", buffered: true });
const { createObjectURL, revokeObjectURL } = URL;
URL.createObjectURL = (blob) => { const url = createObjectURL.call(URL, blob); watched.urls.add(url); return url; };
URL.revokeObjectURL = (url) => { watched.urls.delete(url); revokeObjectURL.call(URL, url); };
"""
TAKE = """() => {
    const { frames, tasks, scripts, urls } = watched;
    Object.assign(watched, { frames: [], tasks: [], scripts: [] });
    return [frames, tasks, scripts, urls.size];
}"""


# Playwright's own `expect` looks at the whole page each time that it asks, for 20 to 40 ms: it would make frames late.
SAYS = """([selector, text]) => new Promise((resolve) => {
    const look = () => document.querySelector(selector)?.textContent.includes(text) && resolve();
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
    look();
})"""


def processor_seconds(root: int | None = None) -> float:
    """What a process and all that it started have taken of the processor; without `root`, what the machine did."""
    per_second = os.sysconf("SC_CLK_TCK")
    if root is None:
        user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + sum(interrupts)) / per_second
    parents, ticks = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            process = int(stat.parent.name)
            parents[process], ticks[process] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {root}
    while more := {process for process, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(process, 0) for process in family) / per_second


class Step(NamedTuple):
    """What one step took (milliseconds), and what was alive after it."""

    name: str
    frames: list[float]
    tasks: list[float]
    scripts: list[float]
    urls: int
    heap: int  # bytes, after a garbage collection
    elements: int
    others: float  # share of the processor, 0 to 1

    def row(self) -> str:
        slow = sum(frame > LONG_MS for frame in self.frames)
        longest = f"{max(self.tasks):.0f}" if self.tasks else f"< {LONG_MS}"
        own = f"{max(self.scripts):.0f}" if self.scripts else f"< {LONG_MS}"
        counts = f"{self.heap / 1e6:.1f} | {self.elements} | {self.urls} | {self.others:.0%}"
        return f"| {self.name} | {max(self.frames):.0f} | {slow} of {len(self.frames)} | {longest} | {own} | {counts} |"


class Visit:
    """The page in a browser, and the steps that were taken on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.steps: list[Step] = []
        self.session = page.context.new_cdp_session(page)
        page.add_init_script(WATCH)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Watch what happens within, until the page has come to rest."""
        self.page.wait_for_timeout(SETTLE_MS)  # the garbage collection before it does not count
        self.page.evaluate(TAKE)
        begun, busy, own = time.monotonic(), processor_seconds(), processor_seconds(os.getpid())
        yield
        self.page.wait_for_timeout(SETTLE_MS)
        frames, tasks, scripts, urls = self.page.evaluate(TAKE)
        foreign = processor_seconds() - busy - (processor_seconds(os.getpid()) - own)
        others = max(0, foreign) / (time.monotonic() - begun) / (os.cpu_count() or 1)
        self.session.send("HeapProfiler.collectGarbage")
        heap = int(self.session.send("Runtime.getHeapUsage")["usedSize"])
        elements = int(self.session.send("Memory.getDOMCounters")["nodes"])
        self.steps.append(Step(name, frames, tasks, scripts, urls, heap, elements, others))

    def wait_for(self, selector: str, text: str) -> None:
        """Wait until an element has a text, without asking again and again."""
        self.page.evaluate(SAYS, [selector, text])

    def choose(self, paths: list[Path]) -> None:
        self.page.locator("#file").set_input_files(paths)
        self.wait_for("#analyze", f"Analyze {len(paths)}")

    def measure(self) -> None:
        self.page.locator("#analyze").click()
        self.wait_for("#said", "images measured")

    def sort(self) -> None:
        for heading in self.page.locator("[data-sort]:visible").all():
            for _ in range(2):
                heading.click()
                self.page.wait_for_timeout(50)

    def scroll(self) -> None:
        """Through the list by the wheel, then in jumps."""
        rows = self.page.locator("#list .scroll")
        rows.hover()
        for _ in range(60):
            self.page.mouse.wheel(0, 450)
            self.page.wait_for_timeout(16)
        for share in (1, 0, 0.5, 0.25, 0.75, 0):
            rows.evaluate("(element, share) => { element.scrollTop = share * element.scrollHeight; }", share)
            self.page.wait_for_timeout(150)

    def select(self) -> None:
        for number in range(8):
            self.page.locator("#rows .select").nth(number).click()
            self.page.wait_for_timeout(100)

    def download(self) -> None:
        for kind in ("CSV", "JSON"):
            with self.page.expect_download():
                self.page.get_by_role("button", name=f"Download {kind}").click()


def images(folder: Path, number: int) -> list[Path]:
    """Write JPEGs of 96 by 64 pixels, each different."""
    random = np.random.default_rng()
    paths = [folder / f"IMG_{place:05}.jpg" for place in range(number)]
    for path in paths:
        shade = random.integers(40, 200)
        noise = random.integers(0, 55, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(noise + np.uint8(shade)).save(path)
    return paths


def choose_without_scripts(browser: Browser, address: str, paths: list[Path]) -> list[Step]:
    """What the browser and this machine take for themselves."""
    visit = Visit(browser.new_page(viewport=SIZE))
    visit.page.route("**/app.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    visit.page.goto(address, wait_until="networkidle")
    with visit.step(f"choose {IMAGES}, page without scripts"):
        visit.page.locator("#file").set_input_files(paths)
    visit.page.close()
    return visit.steps


def walk(browser: Browser, address: str, paths: list[Path]) -> list[Step]:
    """All the steps."""
    visit = Visit(browser.new_page(viewport=SIZE))
    visit.page.goto(address, wait_until="networkidle")
    with visit.step(f"choose {IMAGES}"):
        visit.choose(paths)
    with visit.step("measure them"):
        visit.measure()
    with visit.step("measure them again"):
        visit.measure()
    with visit.step("sort by each column"):
        visit.sort()
    with visit.step("scroll and jump"):
        visit.scroll()
    with visit.step("select eight"):
        visit.select()
    with visit.step("download"):
        visit.download()
    with visit.step("reload"):
        visit.page.reload()
        visit.wait_for("#totals", f"{IMAGES} images")
    with visit.step("clear the list"):
        visit.page.get_by_role("button", name="Clear list").click()
    return visit.steps


def report(address: str, process: int, folder: Path) -> None:
    """Print the table of a server. process: its id. folder: where the images are written, new ones for each round."""
    taken = processor_seconds(process)
    rounds = []
    for _ in range(ROUNDS):
        paths = images(folder, IMAGES)
        with sync_playwright() as playwright:
            path = executable("chromium", "chromium-browser", "google-chrome")
            browser = playwright.chromium.launch(executable_path=path, args=QUIET)
            rounds.append([*choose_without_scripts(browser, address, paths), *walk(browser, address, paths)])
            browser.close()
    longest = "longest frame, ms | frames over 50 ms | longest task, ms | longest script, ms"
    print(f"| step | {longest} | heap, MB | nodes | object URLs | others |", "| --- " * 9 + "|", sep="\n")  # noqa: T201
    for same in zip(*rounds, strict=True):
        print(min(same, key=lambda step: step.others).row())  # noqa: T201 - it is a report
    share = (processor_seconds(process) - taken) / ROUNDS
    print(f"The server took {share:.1f} s of processor time for each round.\n", flush=True)  # noqa: T201


def main() -> None:
    """Print the table."""
    with TemporaryDirectory() as folder, running_server(WORKERS="") as server:
        report(server.address, server.process.pid, Path(folder))


if __name__ == "__main__":
    main()
