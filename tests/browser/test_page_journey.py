"""The main job: choose an image, see it, read its intensity, start over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.screen import Screen

Picture = Callable[..., Path]


def luma_mean(path: Path) -> float:
    """What the service promises, computed without it."""
    with Image.open(path) as image:
        return float(np.asarray(image.convert("L")).mean())


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        ("photo.jpg", "RGB", "color, 8 bits (RGB)"),
        ("screen.png", "RGBA", "color with transparency, 8 bits (RGBA)"),
        ("gray.png", "L", "gray, 8 bits (L)"),
        ("palette.png", "P", "palette, 8 bits (P)"),
    ],
)
def test_the_number_on_the_page_is_the_one_numpy_computes(
    screen: Screen, picture: Picture, name: str, mode: str, words: str
) -> None:
    path = picture(name, mode=mode)
    screen.open()
    screen.measure(path)
    assert screen.exact == luma_mean(path)
    expect(screen.field("rounded")).to_have_text(f"{luma_mean(path):.2f}")
    expect(screen.field("mode")).to_have_text(words)


def test_the_result_says_what_was_measured_and_which_request_it_was(screen: Screen, photo: Path) -> None:
    screen.open()
    with screen.page.expect_response("**/intensity?*") as answer:
        screen.measure(photo)
    expect(screen.field("filename")).to_have_text("photo.jpg")
    expect(screen.field("dimensions")).to_have_text("120 \N{MULTIPLICATION SIGN} 80 (9,600 pixels)")
    expect(screen.field("bytes")).to_have_text(f"{photo.stat().st_size:,} bytes")
    expect(screen.field("duration")).to_have_text(f"{answer.value.json()['duration_ms']} ms")
    expect(screen.field("request")).to_have_text(answer.value.header_value("x-request-id") or "no header")


def test_the_second_analysis_of_an_image_is_a_cache_hit_with_the_same_number(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.measure(photo)
    expect(screen.field("cache")).to_have_text("measured now")
    first = screen.exact
    screen.analyze.click()
    expect(screen.field("cache")).to_contain_text("answered from the cache")
    expect(screen.said).to_contain_text("Already measured before: answered from the cache.")
    assert screen.exact == first


def test_the_preview_shows_the_chosen_image_before_anything_is_uploaded(screen: Screen, photo: Path) -> None:
    screen.open()
    expect(screen.picker).to_have_text("Choose image files")
    screen.choose(photo)
    expect(screen.picker).to_have_text("photo.jpg")
    expect(screen.preview).to_have_attribute("alt", "Preview of photo.jpg")
    expect(screen.preview).to_have_js_property("naturalWidth", 120)
    assert screen.uploads == []


def test_a_dropped_image_is_chosen(screen: Screen) -> None:
    screen.open()
    transfer = screen.page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array([0xff, 0xd8, 0xff, 0xe0])], "dropped.jpg"));
            return transfer;
        }"""
    )
    screen.page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    expect(screen.picker).to_have_text("dropped.jpg")
    expect(screen.analyze).to_be_enabled()


# The page may show blobs, and may not fetch them.
SHOW = """url => new Promise((tell) => {
  const image = new Image();
  image.onload = () => tell("shown");
  image.onerror = () => tell("revoked");
  image.src = url;
})"""


def test_clear_resets_everything(screen: Screen, photo: Path) -> None:
    screen.open()
    untouched = screen.page.locator("main").inner_text()
    screen.measure(photo)
    blob = screen.preview.get_attribute("src")
    assert screen.page.evaluate(SHOW, blob) == "shown"
    screen.clear.click()
    assert screen.page.locator("main").inner_text() == untouched
    assert screen.file.evaluate("input => input.files.length") == 0
    expect(screen.analyze).to_be_disabled()
    expect(screen.preview).to_have_count(0)
    assert screen.page.evaluate(SHOW, blob) == "revoked"


def test_a_file_is_chosen_measured_and_cleared_by_keyboard_alone(screen: Screen, photo: Path) -> None:
    # Before the page loads, because Chromium takes a moment to pass its file dialogs on.
    screen.page.on("filechooser", lambda chooser: chooser.set_files(photo))
    screen.open()
    press = screen.page.keyboard.press
    press("Tab")
    expect(screen.file).to_be_focused()
    outline = screen.page.locator(".picker").evaluate("label => getComputedStyle(label).outlineStyle")
    assert outline == "solid", "the focus is invisible"
    press("Enter")
    expect(screen.analyze).to_be_enabled()
    press("Tab")
    press("Enter")
    expect(screen.result).to_be_visible()
    expect(screen.analyze).to_be_focused()
    press("Tab")
    expect(screen.clear).to_be_focused()
    press("Enter")
    expect(screen.result).to_be_hidden()
    expect(screen.picker).to_have_text("Choose image files")


def test_loading_and_using_the_page_requests_nothing_that_is_missing(screen: Screen, photo: Path) -> None:
    failed: list[str] = []
    screen.page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    screen.page.on("requestfailed", lambda request: failed.append(request.url))
    screen.open()
    screen.measure(photo)
    assert failed == []
