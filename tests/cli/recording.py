"""Records commands on a terminal and draws pictures for the docs: `python -m tests.cli.recording`.

docs/pictures/folder.png is `intensity` on a folder, docs/pictures/bulk.png `intensity bulk` on a local S3,
docs/pictures/runs.png `intensity runs` with the whole template on a local AWS, which needs what `make e2e` installs.
The last two are on 3,000 objects, some of them damaged, and show the terminal while the command runs, and at its end.
It needs Chromium. ONLY=folder,bulk makes some of them.
"""

from __future__ import annotations

import html
import os
import re
import tempfile
from pathlib import Path
from typing import Final

import boto3
from playwright.sync_api import sync_playwright

from tests.bench.images import encode, photo
from tests.browser.conftest import QUIET
from tests.cli.command import on_terminal
from tests.e2e.engines import AWS, RUNS, STACK, deployed
from tests.local_aws import KEYS, running_local_aws
from tests.support import executable

PICTURES = Path(__file__).parents[2] / "docs/pictures"
REGION: Final = "eu-central-1"
OBJECTS = 3_000
COLUMNS = 104
FOLDER = "intensity photos/"
BULK = "intensity bulk s3://photos/2026/ -o photos.csv"
ON_AWS = "intensity runs start s3://photos/2026/ --name photos --watch"
PAGE = """<meta charset="utf-8"><style>
body {{ margin: 0; background: #1d1f21; }}
div {{ width: max-content; padding: 18px 22px; }}
pre {{ margin: 0; font: 15px/1.45 "DejaVu Sans Mono", monospace; color: #d5d8d6; }}
hr {{ border: 0; border-top: 1px solid #4b4f54; margin: 14px 0; }}
b {{ color: #8abeb7; font-weight: normal; }}
</style><div>{screens}</div>"""
SCREEN = "<pre><b>$ {command}</b>\n{text}</pre>"


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
    return on_terminal(command.split(), COLUMNS, env={**environment, "NO_COLOR": "1"}, cwd=folder)


def screen(written: str) -> str:
    """The lines that a terminal shows: a carriage return begins a line again."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2].rstrip() for line in written.split("\n"))


def middle(written: str) -> str:
    """What the terminal shows as near as possible to the half."""
    steps = list(re.finditer(r"\r *([1-9]\d?)%[^\r\n]*", written))
    half = min(steps, key=lambda step: abs(int(step[1]) - 55))
    return screen(written[: half.end()]).strip("\n")


def draw(picture: str, command: str, *screens: str) -> None:
    """Draw what the terminal shows, one screen below the other."""
    shown = [SCREEN.format(command=html.escape(command), text=html.escape(text.strip("\n"))) for text in screens]
    with sync_playwright() as playwright:
        path = executable("chromium", "chromium-browser", "google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        page = browser.new_page(device_scale_factor=1.5)
        page.set_content(PAGE.format(screens="<hr>".join(shown)))
        page.locator("div").screenshot(path=PICTURES / f"{picture}.png")
        browser.close()


def folder() -> None:
    """Draw `intensity` on six images, of which one is cut short."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "photos").mkdir()
        for number in range(6):
            data = encode(photo(640, 480, seed=number), "JPEG", quality=85)
            (Path(place) / f"photos/{number:05}.jpg").write_bytes(data[: len(data) // 2] if number == 3 else data)
        draw("folder", FOLDER, screen(record(FOLDER, dict(os.environ), place)))


def bulk() -> None:
    """Draw `intensity bulk`."""
    with tempfile.TemporaryDirectory() as place, running_local_aws(Path(place)) as address:
        fill(address)
        written = record(BULK, {**os.environ, **KEYS, "AWS_ENDPOINT_URL": address}, place)
    draw("bulk", BULK, middle(written), screen(written))


def runs() -> None:
    """Draw `intensity runs`."""
    with tempfile.TemporaryDirectory() as place, deployed(Path(place), *RUNS) as url:
        address = url.partition("/restapis/")[0]
        fill(address)
        written = record(ON_AWS, {**AWS, "AWS_ENDPOINT_URL": address, "INTENSITY_STACK": STACK}, place)
    draw("runs", ON_AWS, middle(written), screen(written))


def main() -> None:
    """Record and draw."""
    only = os.environ.get("ONLY", "folder,bulk,runs").split(",")
    for recording in (folder, bulk, runs):
        if recording.__name__ in only:
            recording()


if __name__ == "__main__":
    main()
