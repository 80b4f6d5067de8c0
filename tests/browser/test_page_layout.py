"""How the page looks where it can be measured: phone and desktop, light and dark, long names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from PIL import Image
from playwright.sync_api import FloatRect, Locator, expect

from tests.browser.gallery import SAMPLES, bracket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.screen import Screen

# WCAG 2.2, 1.4.3: text that is not large.
MINIMUM_CONTRAST = 4.5
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

# The color of an element's text, and of the nearest background painted behind it.
COLORS = """element => {
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
}"""


def box(locator: Locator) -> FloatRect:
    found = locator.bounding_box()
    assert found is not None
    return found


def luminance(color: str) -> float:
    """Relative luminance of a CSS `rgb(…)`, 0 to 1, as WCAG 2.2 defines it."""
    channels = [int(channel) / 255 for channel in re.findall(r"\d+", color)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(locator: Locator) -> float:
    text, behind = (luminance(color) for color in locator.evaluate(COLORS))
    return (max(text, behind) + 0.05) / (min(text, behind) + 0.05)


def panels(screen: Screen) -> tuple[FloatRect, FloatRect]:
    regions = screen.page.get_by_role("region")
    return box(regions.filter(has_text="Preview")), box(regions.filter(has_text="Result"))


def test_on_a_desktop_controls_stand_in_one_row_and_the_panels_side_by_side(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.measure(photo)
    tops = {box(control)["y"] for control in (screen.page.locator(".picker"), screen.analyze, screen.clear)}
    assert len(tops) == 1
    preview, result = panels(screen)
    assert preview["y"] == result["y"]
    assert preview["x"] + preview["width"] <= result["x"]


def test_on_a_phone_they_are_stacked_and_nothing_scrolls_sideways(screen: Screen, picture: Callable[..., Path]) -> None:
    path = picture("a-long-name-" * 15 + ".png", size=(1200, 300))
    screen.open()
    for width in (640, 390, 320):
        screen.page.set_viewport_size({"width": width, "height": 700})
        screen.measure(path)
        preview, result = panels(screen)
        assert preview["y"] + preview["height"] <= result["y"]
        assert screen.page.evaluate("document.documentElement.scrollWidth") <= width
        expect(screen.field("rounded")).to_be_in_viewport()


def test_on_a_phone_number_and_plot_of_a_portrait_are_on_the_screen(screen: Screen, tmp_path: Path) -> None:
    path = tmp_path / "portrait.jpg"
    Image.effect_noise((900, 1600), 80).convert("RGB").save(path)
    screen.page.set_viewport_size({"width": 390, "height": 760})
    screen.open()
    screen.measure(path)
    expect(screen.said).to_contain_text("Measured in")
    expect(screen.field("rounded")).to_be_in_viewport(ratio=1)
    expect(screen.page.locator("#plot")).to_be_in_viewport(ratio=0.99)  # a fraction of a pixel


def test_the_shares_of_black_and_white_stand_on_one_line_each(screen: Screen, tmp_path: Path) -> None:
    shares = Image.new("L", (100, 100), 255)
    shares.paste(0, (0, 0, 100, 50))  # "⚠ 50.0 %"
    shares.save(tmp_path / "shares.png")
    screen.open()
    for image in (SAMPLES / "photo.jpg", tmp_path / "shares.png"):
        screen.measure(image)
        expect(screen.field("filename")).to_have_text(image.name)
        for width in (1280, 768, 390, 320):
            screen.page.set_viewport_size({"width": width, "height": 700})
            texts = screen.page.locator("#clipping :is(dt, dd)").all()
            assert [text.inner_text() for text in texts if box(text)["height"] > 30] == []
            assert screen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_of_several_images_list_and_result_stand_side_by_side_on_a_wide_screen(screen: Screen, tmp_path: Path) -> None:
    screen.page.set_viewport_size({"width": 1280, "height": 800})
    screen.open()
    screen.measure_all(bracket(tmp_path)[:4])
    table, result = box(screen.page.locator("#list")), box(screen.page.locator("#panels"))
    assert table["y"] == result["y"]
    assert table["x"] + table["width"] <= result["x"]
    screen.rows.first.locator(".select").focus()
    for place in (1, 2, 3):
        screen.page.keyboard.press("ArrowDown")
        name = screen.rows.nth(place).locator(".select")
        expect(name).to_be_focused()
        expect(screen.field("filename")).to_have_text(name.get_attribute("title") or "")
    assert screen.page.evaluate("scrollY") == 0, "one sees list and picture while one goes through the list"


def test_one_action_at_a_time_is_filled(screen: Screen) -> None:
    filled = "rgb(29, 91, 184)"
    screen.open()
    expect(screen.page.locator(".picker")).to_have_css("background-color", filled)
    screen.choose(SAMPLES / "photo.jpg")
    expect(screen.page.locator(".picker")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(screen.analyze).to_have_css("background-color", filled)
    screen.measure(SAMPLES / "photo.jpg")
    expect(screen.analyze).to_have_text("Analyze again")
    screen.page.mouse.move(0, 0)
    expect(screen.analyze).to_have_css("background-color", "rgb(255, 255, 255)")


def test_dark_mode_is_dark_and_light_mode_is_light(screen: Screen) -> None:
    screen.open()
    lights = {}
    for scheme in SCHEMES:
        screen.page.emulate_media(color_scheme=scheme)
        lights[scheme] = luminance(screen.page.locator("h1").evaluate(COLORS)[1])
    assert lights["dark"] < 0.05
    assert lights["light"] > 0.8
