"""What Lighthouse says of the page as it is loaded: `python -m tests.bench.lighthouse` (needs Node.js and Chromium).

npm installs Lighthouse when it is first asked for. It prints the scores, 0 to 1, for a desktop and a phone on a slow
line, and what is not perfect. Other states of the page than the empty one are not looked at.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from tests.server import running_server
from tests.support import executable

LIGHTHOUSE = "lighthouse@13.5.0"
CHROMIUM_FLAGS = "--headless=new --no-sandbox --disable-gpu"
SECONDS = 180


def report(address: str, *options: str) -> dict[str, Any]:
    """Lighthouse's own report."""
    command = [executable("npx"), "--yes", LIGHTHOUSE, address, "--quiet", "--output=json"]
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


def imperfect(found: dict[str, Any]) -> list[str]:
    """The audits that count and have less than the full score."""
    counted = {
        audit["id"] for category in found["categories"].values() for audit in category["auditRefs"] if audit["weight"]
    }
    return sorted(name for name in counted if found["audits"][name]["score"] not in (1, None))


def main() -> None:
    """Print the scores."""
    with running_server() as server:
        for name, options in (("desktop", ["--preset=desktop"]), ("phone", [])):
            found = report(server.address, *options)
            scores = {category: value["score"] for category, value in found["categories"].items()}
            print(name, scores, "below 1:", imperfect(found) or "nothing")  # noqa: T201 - it is a report


if __name__ == "__main__":
    main()
