"""A rectangle of the image: drawn, moved by keys or typed, and measured by the service in the stored pixels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import FloatRect, Locator

    from tests.browser.screen import Screen

NAMES = ("x", "y", "width", "height")
ORIENTATION = 0x0112


def typed(screen: Screen) -> list[int]:
    """What the four fields say."""
    return [int(screen.page.locator(f"#region-{name}").input_value()) for name in NAMES]


def select(screen: Screen) -> Locator:
    """Switch the rectangle on and return it, as drawn."""
    screen.page.get_by_role("button", name="Select a region").click()
    box = screen.page.locator(".box")
    expect(box).to_be_visible()
    return box


def bounds(locator: Locator) -> FloatRect:
    found = locator.bounding_box()
    assert found is not None
    return found


def draw(screen: Screen, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a region with the mouse. begin, end: shares of the width and the height of the preview."""
    preview, mouse = screen.page.locator(".layer"), screen.page.mouse
    # This waits until nothing on the page moves any more: its limits, for one, come late.
    preview.hover()
    layer = bounds(preview)
    mouse.move(layer["x"] + begin[0] * layer["width"], layer["y"] + begin[1] * layer["height"])
    mouse.down()
    mouse.move(layer["x"] + end[0] * layer["width"], layer["y"] + end[1] * layer["height"], steps=3)
    mouse.up()


def luma_mean(path: Path, region: list[int]) -> float:
    """The mean of a rectangle of the stored pixels, computed without the service."""
    x, y, width, height = region
    with Image.open(path) as image:
        return float(np.asarray(image.convert("L"))[y : y + height, x : x + width].mean())


def measured(screen: Screen) -> float:
    with screen.page.expect_response("**/intensity?*") as answer:
        screen.analyze.click()
    assert answer.value.ok, answer.value.text()
    expect(screen.field("exact")).to_have_text(repr(answer.value.json()["average_intensity"]).removesuffix(".0"))
    return screen.exact


def test_a_typed_region_is_measured_exactly_and_said_in_the_result(screen: Screen) -> None:
    path = SAMPLES / "photo.jpg"
    screen.open()
    screen.choose(path)
    select(screen)
    for name, value in zip(NAMES, (37, 21, 301, 200), strict=True):
        screen.page.locator(f"#region-{name}").fill(str(value))
        screen.page.locator(f"#region-{name}").press("Enter")
    expect(screen.page).to_have_url(re.compile(r"\?region=37,21,301,200$"))
    screen.measure(path)
    assert screen.exact == luma_mean(path, [37, 21, 301, 200])
    expect(screen.field("region")).to_have_text("301 \N{MULTIPLICATION SIGN} 200 pixels at 37, 21")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_drawn_on_the_turned_preview_is_measured_in_the_stored_picture(
    screen: Screen, tmp_path: Path, orientation: int
) -> None:
    """Of four corners of different gray, the one at the top left of the screen is drawn around and measured."""
    stored = np.full((120, 160), 200, dtype=np.uint8)
    corners = {(0, 0): 20, (0, 96): 60, (72, 0): 100, (72, 96): 140}
    for (row, column), gray in corners.items():
        stored[row : row + 48, column : column + 64] = gray
    # Which stored corner the EXIF standard puts at the top left of the screen.
    expected = {1: 20, 2: 60, 3: 140, 4: 100, 5: 20, 6: 100, 7: 140, 8: 60}[orientation]
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(stored).save(path, quality=100, exif=exif)
    screen.open()
    screen.choose(path)
    select(screen)
    if orientation > 1:
        expect(screen.page.get_by_text("Shown turned, as the camera noted")).to_be_visible()
    draw(screen, (0.05, 0.05), (0.2, 0.2))
    assert measured(screen) == pytest.approx(expected, abs=1)
    assert screen.exact == luma_mean(path, typed(screen))


def test_arrow_keys_move_the_region_and_with_shift_size_it_and_the_edge_stops_it(screen: Screen) -> None:
    screen.open()
    screen.choose(SAMPLES / "photo.jpg")
    box = select(screen)
    x, y, width, height = typed(screen)
    box.press("ArrowRight")
    moved = typed(screen)
    assert moved[0] > x
    assert moved[1:] == [y, width, height]
    box.press("Shift+ArrowUp")
    sized = typed(screen)
    assert sized[:3] == moved[:3]
    assert sized[3] < height
    for _ in range(400):
        box.press("ArrowLeft")
    assert typed(screen) == [0, *sized[1:]]


def test_a_region_outside_of_the_image_is_refused_by_the_service_in_a_sentence(screen: Screen, photo: Path) -> None:
    screen.open("/?region=10,10,5000,10")
    screen.choose(photo)
    screen.analyze.click()
    expect(screen.alert).to_contain_text("photo.jpg")
    expect(screen.result).to_be_hidden()


def test_the_pixel_under_the_pointer_is_shown_as_the_browsers_own(screen: Screen) -> None:
    screen.open()
    screen.choose(SAMPLES / "gray-card.png")
    screen.page.locator(".stage").hover()
    place = re.compile(r"Pixel 2[34]\d, 1[56]\d: red 118, green 118, blue 118, gray 118\.")
    expect(screen.page.locator("#pixel")).to_have_text(place)
    told = "As this browser shows it (color-managed, 8 bits), not as measured."
    expect(screen.page.locator("#pixel")).to_contain_text(told)


def test_without_a_region_the_whole_image_is_measured_again(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.choose(photo)
    select(screen)
    part = measured(screen)
    screen.page.get_by_role("button", name="Measure the whole image").click()
    assert measured(screen) == luma_mean(photo, [0, 0, 120, 80])
    assert screen.exact != part


def test_a_region_is_offered_only_where_there_is_an_image(screen: Screen, photo: Path) -> None:
    """After a reload, a row has its result and no picture. The region stays in the address, for the next image."""
    screen.open()
    screen.choose(photo)
    select(screen)
    measured(screen)
    screen.page.reload()
    screen.rows.first.locator(".select").click()
    expect(screen.page.get_by_text("a reload keeps results, not images")).to_be_visible()
    for offer in ("#region-on", "#region-fields"):
        expect(screen.page.locator(offer)).to_be_hidden()
    screen.choose(photo)
    expect(screen.page.get_by_role("button", name="Measure the whole image")).to_be_visible()
    expect(screen.page.locator("#region-fields")).to_be_visible()
    assert typed(screen) == [30, 20, 60, 40]
