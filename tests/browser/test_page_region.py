"""A rectangle of the image: drawn, moved by keys or typed, and measured by the service in the stored pixels."""

from __future__ import annotations

import re
import struct
from itertools import product
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
    screen.button("Measure region").click()
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


def test_a_typed_region_is_measured_exactly_or_put_back_with_the_reason(screen: Screen) -> None:
    def type_in(name: str, value: str, key: str = "Tab") -> None:
        screen.page.locator(f"#region-{name}").fill(value)
        screen.page.locator(f"#region-{name}").press(key)

    path = SAMPLES / "photo.jpg"
    screen.open()
    screen.choose(path)
    select(screen)
    before = typed(screen)
    for name, value in {"width": "1.5", "height": "0", "y": "-3", "x": ""}.items():
        type_in(name, value)
        expect(screen.alert).to_contain_text("x and y are whole numbers from 0, width and height from 1.")
        assert typed(screen) == before
        screen.dismiss.click()
    for name, side in {"width": "wide", "height": "high"}.items():
        type_in(name, "961", "Enter")
        expect(screen.alert).to_contain_text(f"pixels {side}")
        assert typed(screen) == before
    assert screen.uploads == []
    for name, value in zip(NAMES, ("37", "21", "301"), strict=False):
        type_in(name, value)
    type_in("height", "200", "Enter")
    expect(screen.page).to_have_url(re.compile(r"\?region=37,21,301,200$"))
    expect(screen.field("region")).to_have_text("301 \N{MULTIPLICATION SIGN} 200 pixels at 37, 21")
    assert screen.exact == luma_mean(path, [37, 21, 301, 200])
    screen.button("Remove region").click()
    expect(screen.field("region")).to_be_hidden()
    assert screen.exact == luma_mean(path, [0, 0, 960, 640])


def with_corners(path: Path, exif: Image.Exif | None = None) -> None:
    """Save a picture of 160 by 120 pixels, each of whose corners has a gray of its own."""
    stored = np.full((120, 160), 200, dtype=np.uint8)
    corners = {(0, 0): 20, (0, 96): 60, (72, 0): 100, (72, 96): 140}
    for (row, column), gray in corners.items():
        stored[row : row + 48, column : column + 64] = gray
    Image.fromarray(stored).save(path, quality=100, exif=exif or Image.Exif())


def top_left_is_measured(screen: Screen, path: Path) -> None:
    """Draw around the corner at the top left of the screen, and measure it."""
    screen.choose(path)
    select(screen)
    draw(screen, (0.05, 0.05), (0.2, 0.2))
    measured(screen)
    assert screen.exact == luma_mean(path, typed(screen))


# Which stored corner the EXIF standard puts at the top left of the screen, for each orientation.
TOP_LEFT = {1: 20, 2: 60, 3: 140, 4: 100, 5: 20, 6: 100, 7: 140, 8: 60}


def test_what_is_drawn_on_the_turned_preview_is_measured_in_the_stored_picture(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    for name, orientation in [*product(["turned.jpg"], TOP_LEFT), *product(["turned.png"], (1, 6, 7))]:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        path = tmp_path / f"{orientation}-{name}"
        with_corners(path, exif)
        top_left_is_measured(screen, path)
        assert screen.exact == pytest.approx(TOP_LEFT[orientation], abs=1), orientation
        expect(screen.page.get_by_text("Shown turned, as the camera noted")).to_be_visible(visible=orientation > 1)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


EXIF_OF_6 = segment(0xE1, b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, 3, 1, 6, 0, 0))
EXIF_OF_3_AS_LONG = segment(0xE1, b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, ORIENTATION, 4, 1, 3, 0))
BEFORE_EXIF = {
    "comment": segment(0xFE, b"a comment"),
    "profiles": segment(0xED, bytes(65_000)) * 3,
    "filling": b"\xff\xff",
    "not an orientation": EXIF_OF_3_AS_LONG,
}


def test_the_orientation_is_found_wherever_a_browser_finds_it(screen: Screen, tmp_path: Path) -> None:
    with_corners(tmp_path / "corners.jpg")
    content = (tmp_path / "corners.jpg").read_bytes()
    screen.open()
    for what, before in BEFORE_EXIF.items():
        path = tmp_path / f"{what}.jpg"
        path.write_bytes(content[:2] + before + EXIF_OF_6 + content[2:])
        top_left_is_measured(screen, path)
        # Of two EXIF segments, browsers take the first. What is no orientation turns nothing.
        expected = 20 if what == "not an orientation" else 100
        assert screen.exact == pytest.approx(expected, abs=1), what


def test_a_region_has_stored_pixels_where_exif_makes_the_browser_count_others(screen: Screen, tmp_path: Path) -> None:
    """A noted resolution of 144 dpi and half the width and height: Chromium says 80 by 60 for 160 by 120."""
    path = tmp_path / "dense.jpg"
    exif = Image.Exif()
    exif.update({0x011A: 144.0, 0x011B: 144.0, 0x0128: 2})
    exif.get_ifd(0x8769).update({0xA002: 80, 0xA003: 60})
    with_corners(path, exif)
    screen.open()
    screen.choose(path)
    expect(screen.preview).to_have_js_property("naturalWidth", 80)
    select(screen)
    assert typed(screen) == [40, 30, 80, 60]
    draw(screen, (0.95, 0.65), (0.65, 0.95))  # from outside of the rectangle, or it would be moved
    assert measured(screen) == pytest.approx(140, abs=1)
    assert typed(screen) == pytest.approx([104, 78, 48, 36], abs=2)
    screen.page.locator(".stage").hover(position={"x": 1, "y": 1})
    expect(screen.page.locator("#pixel")).to_contain_text("gray 20 (")


def test_nothing_is_drawn_on_a_picture_that_is_shown_in_another_way_than_its_file_says(
    screen: Screen, tmp_path: Path
) -> None:
    """Browsers do not turn a PNG whose note has a wrong checksum. A typed region is always of the stored picture."""
    sound, path = tmp_path / "sound.png", tmp_path / "turned.png"
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    with_corners(sound, exif)
    content = bytearray(sound.read_bytes())
    place = content.index(b"eXIf")
    end = place + 4 + int.from_bytes(content[place - 4 : place])
    content[end] ^= 1  # in the checksum
    path.write_bytes(content)
    screen.open()
    screen.choose(path)
    expect(screen.preview).to_have_js_property("naturalWidth", 160)
    screen.button("Measure region").click()
    expect(screen.page.locator(".layer")).to_have_count(0)
    assert measured(screen) == luma_mean(sound, typed(screen))


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
    screen.page.locator("#region-x").fill("5")
    screen.page.locator("#region-x").press("Tab")
    for _ in range(6):
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
    place = re.compile(r"Pixel 2[34]\d, 1[56]\d: red 118, green 118, blue 118, gray 118 \(Rec\. 601 luma\)\.")
    expect(screen.page.locator("#pixel")).to_have_text(place)
    told = "As this browser shows it (color-managed, 8 bits), not as measured."
    expect(screen.page.locator("#pixel")).to_contain_text(told)


def test_a_region_is_offered_only_where_there_is_an_image(screen: Screen, photo: Path) -> None:
    """After a reload, a row has its result and no picture. The region stays in the address, for the next image."""
    screen.open()
    screen.choose(photo)
    select(screen)
    measured(screen)
    screen.reload()
    screen.show(0)
    expect(screen.page.get_by_text("a reload keeps results, not images")).to_be_visible()
    for offer in ("#region-on", "#region-fields"):
        expect(screen.page.locator(offer)).to_be_hidden()
    screen.choose(photo)
    expect(screen.button("Remove region")).to_be_visible()
    expect(screen.page.locator("#region-fields")).to_be_visible()
    assert typed(screen) == [30, 20, 60, 40]
