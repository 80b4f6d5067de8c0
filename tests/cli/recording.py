"""Records commands on a terminal and draws pictures for the docs: `python -m tests.cli.recording`.

docs/pictures/bulk.png is `intensity bulk` on a local S3. docs/pictures/runs.png is `intensity runs` with the whole
template on a local AWS, which needs what `make e2e` installs. Each run is a real one, on 3,000 objects, some of them
damaged. The picture has the terminal while the command runs, and at its end. It needs Chromium.
"""

from __future__ import annotations

import html
import os
import re
import subprocess
import tempfile
import termios
from pathlib import Path
from typing import Final

import boto3
from playwright.sync_api import sync_playwright

from tests.bench.images import encode, photo
from tests.browser.conftest import QUIET
from tests.e2e.engines import AWS, RUNS, STACK, deployed
from tests.local_aws import KEYS, running_local_aws
from tests.support import executable

PICTURES = Path(__file__).parents[2] / "docs/pictures"
REGION: Final = "eu-central-1"
OBJECTS = 3_000
COLUMNS = 104
BULK = "intensity bulk s3://photos/2026/ -o photos.csv"
ON_AWS = "intensity runs start s3://photos/2026/ --name photos --watch"
PAGE = """<meta charset="utf-8"><style>
body {{ margin: 0; background: #1d1f21; }}
div {{ width: max-content; padding: 18px 22px; }}
pre {{ margin: 0; font: 15px/1.45 "DejaVu Sans Mono", monospace; color: #d5d8d6; }}
hr {{ border: 0; border-top: 1px solid #4b4f54; margin: 14px 0; }}
b {{ color: #8abeb7; font-weight: normal; }}
</style><div><pre><b>$ {command}</b>\n{middle}</pre><hr><pre><b>$ {command}</b>\n{end}</pre></div>"""


def fill(address: str) -> None:
    """Put images into a bucket: 1 of 1,000 is cut short, and one is a text."""
    s3 = boto3.client("s3", REGION, endpoint_url=address, aws_access_key_id="test", aws_secret_access_key="test")
    s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": REGION})
    contents = [encode(photo(640, 480, seed=number), "JPEG", quality=85) for number in range(50)]
    for number in range(OBJECTS):
        data = contents[number % len(contents)]
        data = data[: len(data) // 2] if number % 1000 == 7 else data
        s3.put_object(Bucket="photos", Key=f"2026/{number:05}.jpg", Body=b"text" if number == 99 else data)
    s3.put_object(Bucket="photos", Key="2026/notes.txt", Body=b"text")


def record(command: str, environment: dict[str, str], folder: str) -> str:
    """Run a command and return what it writes to its terminal."""
    keyboard, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, COLUMNS))
    written = b""
    with subprocess.Popen(command.split(), env=environment, cwd=folder, stdout=terminal, stderr=terminal):
        os.close(terminal)
        while block := read(keyboard):
            written += block
    os.close(keyboard)
    return written.decode()


def read(keyboard: int) -> bytes:
    """Some of what a terminal gets; nothing when its programs have ended."""
    try:
        return os.read(keyboard, 65_536)
    except OSError:
        return b""


def screen(written: str) -> str:
    """The lines that a terminal shows: a carriage return begins a line again."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2].rstrip() for line in written.split("\n"))


def middle(written: str) -> str:
    """What the terminal shows as near as possible to the half."""
    steps = list(re.finditer(r"\r *([1-9]\d?)%[^\r\n]*", written))
    half = min(steps, key=lambda step: abs(int(step[1]) - 55))
    return screen(written[: half.end()]).strip("\n")


def draw(picture: Path, command: str, written: str) -> None:
    """Draw the terminal twice."""
    shown = {"command": command, "middle": middle(written), "end": screen(written).strip("\n")}
    with sync_playwright() as playwright:
        path = executable("chromium", "chromium-browser", "google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        page = browser.new_page(device_scale_factor=1.5)
        page.set_content(PAGE.format(**{name: html.escape(text) for name, text in shown.items()}))
        page.locator("div").screenshot(path=picture)
        browser.close()


def main() -> None:
    """Record and draw."""
    with tempfile.TemporaryDirectory() as folder, running_local_aws(Path(folder)) as address:
        fill(address)
        environment = {**os.environ, **KEYS, "AWS_ENDPOINT_URL": address}
        draw(PICTURES / "bulk.png", BULK, record(BULK, environment, folder))
    with tempfile.TemporaryDirectory() as folder, deployed(Path(folder), *RUNS) as url:
        address = url.partition("/restapis/")[0]
        fill(address)
        environment = {**AWS, "AWS_ENDPOINT_URL": address, "INTENSITY_STACK": STACK}
        draw(PICTURES / "runs.png", ON_AWS, record(ON_AWS, environment, folder))


if __name__ == "__main__":
    main()
