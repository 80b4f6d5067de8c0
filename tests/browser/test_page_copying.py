"""What is copied: the number, the API's answer, and the request as a command that a shell runs."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support import executable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import BrowserContext

    from tests.browser.screen import Screen


@pytest.fixture(autouse=True)
def _allowed(context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])


def copied(screen: Screen, what: str) -> str:
    """Press the button that copies the `exact` number, the `json` or the `curl` command, and return what is copied."""
    button = screen.page.locator(f"#copy-{what}")
    button.click()
    expect(button).to_have_text("Copied")
    return str(screen.page.evaluate("navigator.clipboard.readText()"))


def run(command: str, folder: Path) -> dict[str, object]:
    """Run a command as someone does who pastes it into bash."""
    for program in ("curl", "jq"):
        executable(program)
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_the_exact_number_and_the_answer_of_the_api_are_copied(screen: Screen, photo: Path) -> None:
    screen.open()
    with screen.page.expect_response("**/intensity?*") as answer:
        screen.measure(photo)
    body = answer.value.json()
    assert float(copied(screen, "exact")) == body["average_intensity"]
    assert json.loads(copied(screen, "json")) == body


def test_the_copied_curl_measures_a_small_image_whatever_its_name(
    screen: Screen, picture: Callable[..., Path], tmp_path: Path
) -> None:
    path = picture('it\'s "so" \\ $HOME; a,b.png')
    screen.open("/?luma=mean&region=1,2,30,40")
    screen.measure(path)
    assert run(copied(screen, "curl"), tmp_path)["average_intensity"] == screen.exact


def test_the_copied_curl_uploads_and_measures_a_large_image(
    screen: Screen, server: str, service: str, tmp_path: Path
) -> None:
    """The page has the number of another server, so that the command has to upload the image."""
    path = tmp_path / "it's large.png"
    Image.fromarray(np.random.default_rng().integers(0, 256, (1250, 1310, 3), dtype=np.uint8)).save(path)
    answer = httpx.post(f"{server}/intensity?detail=full", files={"image": path.read_bytes()}).json()
    screen.page.route("**/uploads", lambda route: route.fulfill(json={"known": True, "ticket": "of the test"}))
    screen.page.route("**/intensity?*", lambda route: route.fulfill(json=answer))
    screen.open_and_wait_for_limits(service)
    screen.measure(path)
    command = copied(screen, "curl")
    first, again = run(command, tmp_path), run(command, tmp_path)
    assert first["average_intensity"] == again["average_intensity"] == screen.exact
    assert first["filename"] == path.name
