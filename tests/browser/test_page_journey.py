"""The main job: choose an image, see it, read its intensity, start over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import one_color

if TYPE_CHECKING:
    from tests.browser.screen import Screen

Picture = Callable[..., Path]


def luma_mean(path: Path) -> float:
    """What the service promises, computed without it."""
    with Image.open(path) as image:
        return float(np.asarray(image.convert("L")).mean())


MODES = {
    ("photo.jpg", "RGB"): "color, 8 bits (RGB)",
    ("screen.png", "RGBA"): "color with transparency, 8 bits (RGBA)",
    ("gray.png", "L"): "gray, 8 bits (L)",
    ("palette.png", "P"): "palette, 8 bits (P)",
}


def test_the_number_on_the_page_is_the_one_numpy_computes(screen: Screen, picture: Picture) -> None:
    screen.open()
    for (name, mode), words in MODES.items():
        path = picture(name, mode=mode)
        screen.measure(path)
        expect(screen.field("filename")).to_have_text(name)
        assert screen.exact == luma_mean(path)
        expect(screen.field("rounded")).to_have_text(f"{luma_mean(path):.2f}")
        expect(screen.field("mode")).to_have_text(words)


# The page may show blobs, and may not fetch them.
SHOW = """url => new Promise((tell) => {
  const image = new Image();
  image.onload = () => tell("shown");
  image.onerror = () => tell("revoked");
  image.src = url;
})"""


def test_an_image_is_seen_measured_found_in_the_cache_and_cleared(screen: Screen, photo: Path) -> None:
    failed: list[str] = []
    screen.page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    screen.page.on("requestfailed", lambda request: failed.append(request.url))
    screen.open_and_wait_for_limits()
    untouched = screen.page.locator("main").inner_text()
    expect(screen.picker).to_have_text("Choose image files")
    screen.choose(photo)
    expect(screen.preview).to_have_attribute("alt", "Preview of photo.jpg")
    expect(screen.preview).to_have_js_property("naturalWidth", 120)
    assert screen.uploads == []
    with screen.page.expect_response("**/intensity?*") as answer:
        screen.analyze.click()
    expect(screen.field("filename")).to_have_text("photo.jpg")
    expect(screen.field("dimensions")).to_have_text("120 \N{MULTIPLICATION SIGN} 80 (9,600 pixels)")
    expect(screen.field("bytes")).to_have_text(f"{photo.stat().st_size:,} bytes")
    expect(screen.field("duration")).to_have_text(f"{answer.value.json()['duration_ms']} ms")
    expect(screen.field("request")).to_have_text(answer.value.header_value("x-request-id") or "no header")
    expect(screen.field("cache")).to_have_text("measured now")
    first = screen.exact
    screen.analyze.click()
    expect(screen.field("cache")).to_contain_text("answered from the cache")
    expect(screen.said).to_contain_text("Already measured before: answered from the cache.")
    assert screen.exact == first
    assert failed == []
    blob = screen.preview.get_attribute("src")
    assert screen.page.evaluate(SHOW, blob) == "shown"
    screen.clear.click()
    assert screen.page.locator("main").inner_text() == untouched
    assert screen.file.evaluate("input => input.files.length") == 0
    expect(screen.analyze).to_be_disabled()
    expect(screen.preview).to_have_count(0)
    assert screen.page.evaluate(SHOW, blob) == "revoked"


def test_an_image_is_dropped_or_pasted(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.drop(one_color(tmp_path / "dropped.jpg", 90))
    expect(screen.picker).to_have_text("dropped.jpg")
    expect(screen.analyze).to_be_enabled()
    screen.page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array([0xff, 0xd8, 0xff, 0xe0])], "image.png"));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }"""
    )
    expect(screen.picker).to_have_text("pasted-1.png")
    expect(screen.analyze).to_be_enabled()


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
