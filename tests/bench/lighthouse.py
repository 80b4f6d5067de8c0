"""What Lighthouse says of the page: `python -m tests.bench.lighthouse` (needs Node.js, npm and Chromium).

npm installs Lighthouse into `.lighthouse` when it is first needed. Two tables, with scores of 0 to 1: the page as it is
loaded, on a desktop and on a phone with a slow line; and those snapshots that are not perfect, of the states of
tests/browser/test_page_states.py at each size. A snapshot has no performance: nothing is loaded in it. The last state
has a fault on purpose: the program fails if Lighthouse does not find it.
ONLY=many,region takes some of the states, and does not load the page.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from tests.browser.conftest import QUIET
from tests.browser.screen import Screen
from tests.browser.test_page_states import SIZES, STATES
from tests.server import running_server
from tests.support import executable, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The second is what the first brings with it. Named here, so that every run has the same.
PACKAGES = ["lighthouse@13.5.0", "puppeteer-core@25.16.0"]
FOLDER = Path(__file__).parents[2] / ".lighthouse"
CHROMIUM_FLAGS = "--headless=new --no-sandbox --disable-gpu"
SECONDS = 180
LOADED = ["performance", "accessibility", "best-practices", "seo"]
IN_A_SNAPSHOT = LOADED[1:]


def install() -> None:
    """Have npm install Lighthouse, unless it is there."""
    if (FOLDER / "node_modules/lighthouse").exists():
        return
    FOLDER.mkdir(exist_ok=True)
    command = [executable("npm"), "install", "--prefix", str(FOLDER), "--no-save", "--no-audit", "--no-fund", *PACKAGES]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=SECONDS)


def load(address: str, *options: str) -> dict[str, Any]:
    """Lighthouse's own report of a page that it loads."""
    command = [str(FOLDER / "node_modules/.bin/lighthouse"), address, "--quiet", "--output=json"]
    environment = {**os.environ, "CHROME_PATH": executable("chromium", "chromium-browser", "google-chrome")}
    done = subprocess.run(
        [*command, f"--chrome-flags={CHROMIUM_FLAGS}", *options],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=SECONDS,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def snapshots(port: int) -> Iterator[Callable[[str, str], dict[str, Any]]]:
    """Lighthouse's own report of the page that is open at an address, as it is, in the browser at this port."""
    command = [executable("node"), str(Path(__file__).with_name("snapshots.mjs")), str(FOLDER), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout

        def snapshot(kind: str, address: str) -> dict[str, Any]:
            print(kind, address, file=process.stdin, flush=True)
            found: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            return found

        yield snapshot


def imperfect(found: dict[str, Any]) -> list[str]:
    """The audits that count and have less than the full score."""
    counted = {
        audit["id"] for category in found["categories"].values() for audit in category["auditRefs"] if audit["weight"]
    }
    return sorted(name for name in counted if found["audits"][name]["score"] not in (1, None))


def row(name: str, found: dict[str, Any], categories: list[str]) -> str:
    scores = [f"{found['categories'][category]['score']:.2f}" for category in categories]
    return f"| {' | '.join([name, *scores, ', '.join(imperfect(found)) or 'nothing'])} |"


def head(first: str, categories: list[str]) -> str:
    names = [first, *categories, "below 1"]
    return f"| {' | '.join(names)} |\n{'| --- ' * len(names)}|"


def print_loads(address: str) -> None:
    """A row for the page as it is loaded, on a desktop and on a phone."""
    print(head("loaded", LOADED))  # noqa: T201 - it is a report
    for name, options in (("desktop", ["--preset=desktop"]), ("phone, slow line", [])):
        print(row(name, load(address, *options), LOADED), flush=True)  # noqa: T201


def spoiled(screen: Screen, _: Path) -> None:
    """A state with a fault, made by a script: Lighthouse finds it only if it judges the page as it is."""
    screen.open()
    screen.page.evaluate("""() => {
        for (const element of document.querySelectorAll("[for=file]")) element.remove();
        document.querySelector("#file").removeAttribute("aria-label");
    }""")


def print_states(address: str, only: list[str]) -> None:
    """A row for each state and size that is not perfect, and how many are."""
    print(head("state and size", IN_A_SNAPSHOT))  # noqa: T201 - it is a report
    perfect = 0
    port = free_port()
    path = executable("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, f"--remote-debugging-port={port}"])
        with snapshots(port) as snapshot:
            for reach in [*STATES, spoiled]:
                if only and reach.__name__ not in [*only, "spoiled"]:
                    continue
                with browser.new_context(base_url=address) as context, TemporaryDirectory() as folder:
                    screen = Screen(context.new_page())
                    reach(screen, Path(folder))
                    for size, (width, height) in SIZES.items():
                        screen.page.set_viewport_size({"width": width, "height": height})
                        found = snapshot("desktop" if size == "desktop" else "mobile", address)
                        assert screen.page.evaluate("innerWidth") == width, "Lighthouse changed the window"
                        assert reach is not spoiled or imperfect(found) == ["label"], (
                            "Lighthouse does not see the page as it is"
                        )
                        if imperfect(found):
                            print(row(f"{reach.__name__}, {size}", found, IN_A_SNAPSHOT), flush=True)  # noqa: T201
                        else:
                            perfect += 1
        browser.close()
    print(f"\n{perfect} snapshots have 1.00 in all three.")  # noqa: T201 - it is a report


def main() -> None:
    """Print the tables."""
    install()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # some states hold a request, which ends with the page
    only = re.findall(r"\w+", os.environ.get("ONLY", ""))
    with running_server() as server:
        if not only:
            print_loads(server.address)
        print_states(server.address, only)


if __name__ == "__main__":
    main()
