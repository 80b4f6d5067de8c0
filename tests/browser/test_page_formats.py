"""A service that takes more formats than PNG and JPEG: the page takes what it says, however the files come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.test_page_region import draw, select, typed

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Route

    from tests.browser.screen import Screen

LIMITS = {
    "max_content_length": 4_600_000,
    "allowed_image_formats": ["PNG", "JPEG", "WEBP", "TIFF"],
    "media_types": ["image/jpeg", "image/png", "image/tiff", "image/webp"],
    "suffixes": ["jpg", "png", "tif", "tiff", "webp"],
}


@pytest.fixture
def health(screen: Screen) -> list[Route]:
    """Questions for the limits, which are held until `tell`."""
    return screen.hold(9, path="**/health")


def tell(screen: Screen, health: list[Route]) -> None:
    while not health:
        screen.page.wait_for_timeout(20)
    health[0].fulfill(json={"limits": LIMITS})


def saved(folder: Path, name: str, *, lossless: bool = False) -> Path:
    path = folder / name
    Image.linear_gradient("L").resize((160, 120)).convert("RGB").save(path, lossless=lossless)
    return path


def test_the_page_offers_and_takes_what_the_service_says_even_if_that_comes_late(
    screen: Screen, health: list[Route], tmp_path: Path
) -> None:
    screen.open()
    screen.file.set_input_files(saved(tmp_path, "early.webp"))
    tell(screen, health)
    expect(screen.picker).to_have_text("early.webp")
    expect(screen.page.locator("#limits")).to_contain_text("PNG, JPEG, WebP or TIFF")
    expect(screen.file).to_have_attribute(
        "accept", "image/jpeg,image/png,image/tiff,image/webp,.jpg,.png,.tif,.tiff,.webp"
    )
    for name in ("lossy.webp", "lossless.webp"):
        screen.choose(saved(tmp_path, name, lossless=name.startswith("lossless")))
        expect(screen.preview).to_have_js_property("naturalWidth", 160)
        select(screen)
        draw(screen, (0.05, 0.05), (0.2, 0.3))
        assert typed(screen) == pytest.approx([8, 6, 24, 30], abs=2)
        screen.button("Remove region").click()
    screen.choose(saved(tmp_path, "scan.tif"))
    told = "No preview: this browser does not show TIFF. It is measured all the same."
    expect(screen.page.locator("#no-preview")).to_have_text(told)
    expect(screen.analyze).to_be_enabled()


def test_two_images_are_compared_in_words_where_one_cannot_be_seen(
    screen: Screen, health: list[Route], tmp_path: Path
) -> None:
    difference, slider = screen.page.locator("#difference"), screen.page.locator("#split-fields")
    answer = {"average_intensity": 90.5, "image_size": [160, 120], "duration_ms": 1, "original_mode": "RGB"}
    screen.page.route("**/intensity?*", lambda route: route.fulfill(json={**answer, "image_size_bytes": 1}))
    screen.open()
    tell(screen, health)
    screen.measure_all([saved(tmp_path, name) for name in ("a.png", "b.tif")])
    screen.compare(1)
    expect(difference).to_contain_text(
        "“\u2068b.tif\u2069” and “\u2068a.png\u2069” have exactly the same average, 90.50."
    )
    expect(slider).to_be_hidden()
    screen.button_of(1, "Use as reference").click()
    screen.show(0)
    expect(difference).to_contain_text("“\u2068a.png\u2069” and “\u2068b.tif\u2069” have exactly")
    expect(slider).to_be_hidden()


def test_of_a_dropped_folder_the_formats_of_the_service_are_taken(
    screen: Screen, health: list[Route], tmp_path: Path
) -> None:
    for name in ("a.webp", "b.TIF", "c.png"):
        saved(tmp_path, name)
    (tmp_path / "notes.txt").write_text("no image")
    screen.open()
    screen.drop(tmp_path)
    tell(screen, health)
    expect(screen.said).to_have_text("3 images chosen; 1 other file left out.")
