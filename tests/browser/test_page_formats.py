"""A service that takes more formats than PNG and JPEG: the page takes what it says, however the files come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.test_page_many import drop
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
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    screen.page.route("**/health", hold)
    return held


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
        screen.page.get_by_role("button", name="Remove region").click()


def test_a_tiff_is_taken_without_a_preview_and_the_page_says_so(
    screen: Screen, health: list[Route], tmp_path: Path
) -> None:
    screen.open()
    tell(screen, health)
    screen.choose(saved(tmp_path, "scan.tif"))
    expect(screen.page.get_by_text("No preview: this browser cannot show the image.")).to_be_visible()
    expect(screen.analyze).to_be_enabled()


def test_of_a_dropped_folder_the_formats_of_the_service_are_taken(
    screen: Screen, health: list[Route], tmp_path: Path
) -> None:
    for name in ("a.webp", "b.TIF", "c.png"):
        saved(tmp_path, name)
    (tmp_path / "notes.txt").write_text("no image")
    screen.open()
    drop(screen, tmp_path)
    tell(screen, health)
    expect(screen.said).to_have_text("3 images chosen; 1 other file left out.")
