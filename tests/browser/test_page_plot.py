"""The histogram: its two scales, the value under the pointer and by keyboard, and the difference to another image."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import one_color

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.screen import Screen


def bar(height: float) -> str:
    """A bar of the path, `height` from 0 to 1, in a drawing 100 high."""
    return f"V{100 - 100 * height:.2f}h1"


def test_the_plot_has_bars_lines_values_and_a_table(screen: Screen, tmp_path: Path) -> None:
    """Of an image of 90 pixels of gray 50 and 10 of gray 200."""
    path = tmp_path / "two.png"
    Image.fromarray(np.array([[50] * 9 + [200]] * 10, dtype=np.uint8)).save(path)
    screen.open()
    screen.measure(path)
    for line, value in {"mean": 65, "median": 50}.items():
        expect(screen.page.locator(f"#{line}")).to_have_attribute("x1", f"{value}.5")
        expect(screen.page.locator(f"#{line}-label")).to_have_text(f"{line} {value}")
    for field in ("range", "middle"):
        expect(screen.field(field)).to_have_text("50\N{EN DASH}200")

    plot, readout = screen.page.get_by_role("slider", name="Gray value"), screen.page.locator("#readout")
    box = plot.bounding_box()
    assert box
    screen.page.mouse.move(box["x"] + box["width"] * 50.5 / 256, box["y"] + 20)
    expect(readout).to_have_text("Gray 50: 90 pixels, 90.0 %")
    plot.press("End")
    expect(readout).to_have_text("Gray 255: 0 pixels, 0 %")
    for key in ("Home", "PageUp", "ArrowRight", "ArrowLeft", "ArrowRight"):
        plot.press(key)
    expect(plot).to_have_attribute("aria-valuenow", "17")
    expect(plot).to_have_attribute("aria-valuetext", "Gray 17: 0 pixels, 0 %")

    screen.page.get_by_text("The histogram as a table").click()
    rows = screen.page.locator("#table-body tr")
    expect(rows).to_have_count(256)
    assert rows.nth(200).locator("td").all_inner_texts() == ["200", "10", "10.0 %"]

    linear = f"M0 100{bar(0) * 50}{bar(1)}{bar(0) * 149}{bar(10 / 90)}{bar(0) * 55}V100Z"
    expect(screen.page.locator("#bars")).to_have_attribute("d", linear)
    screen.page.get_by_label("log scale").check()
    logarithmic = linear.replace(bar(10 / 90), bar(math.log1p(10) / math.log1p(90)))
    expect(screen.page.locator("#bars")).to_have_attribute("d", logarithmic)
    screen.reload()
    expect(screen.page.locator("#log")).to_be_checked()


def test_a_white_background_does_not_press_the_other_bars_flat(screen: Screen, tmp_path: Path) -> None:
    """255 has 9,744 pixels, each other gray one: the bar of 255 is cut off, and has a mark."""
    pixels = np.full(10_000, 255, dtype=np.uint8)
    pixels[:256] = np.arange(256)
    Image.fromarray(pixels.reshape(100, 100)).save(tmp_path / "page.png")
    screen.open()
    screen.measure(tmp_path / "page.png")
    expect(screen.page.locator("#bars")).to_have_attribute("d", f"M0 100{bar(1) * 256}V100Z")
    expect(screen.page.locator("#breaks")).to_have_attribute("d", re.compile("^M250 13L256 8$"))
    expect(screen.page.locator("#top-share")).to_have_text("0.01 % of pixels")


def test_what_is_one_and_what_is_not_all_are_written_as_that(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.measure(one_color(tmp_path / "one.png", 7, (1, 1)))
    expect(screen.field("dimensions")).to_have_text("1 \N{MULTIPLICATION SIGN} 1 (1 pixel)")
    for key in ("ArrowLeft", "ArrowRight"):
        screen.page.locator("#plot").press(key)
    expect(screen.page.locator("#readout")).to_have_text("Gray 7: 1 pixel, 100 %")
    expect(screen.page.locator("#swatch")).to_have_css("background-color", "rgb(7, 7, 7)")
    white = Image.new("L", (100, 100), 255)
    white.paste(7, (0, 0, 4, 1))
    white.save(tmp_path / "nearly-white.png")
    screen.measure(tmp_path / "nearly-white.png")
    expect(screen.page.locator("#white-share")).to_have_text("⚠ 99.96 %")


def test_the_reference_has_the_scale_of_the_image_in_shares_of_pixels(screen: Screen, tmp_path: Path) -> None:
    """The reference has 100 pixels of one gray, the image 200 of each of two."""
    Image.fromarray(np.array([[60] * 10 + [90] * 10] * 20, dtype=np.uint8)).save(tmp_path / "b.png")
    screen.open()
    screen.measure_all([one_color(tmp_path / "a.png", 30, (10, 10)), tmp_path / "b.png"])
    screen.compare(1)
    reference = f"M0 100{bar(0) * 30}{bar(1)}{bar(0) * 225}V100Z"
    image = f"M0 100{bar(0) * 60}{bar(0.5)}{bar(0) * 29}{bar(0.5)}{bar(0) * 165}V100Z"
    expect(screen.page.locator("#reference-bars")).to_have_attribute("d", reference)
    expect(screen.page.locator("#bars")).to_have_attribute("d", image)


def test_a_comparison_states_the_difference_of_averages_medians_and_deviations(screen: Screen, tmp_path: Path) -> None:
    Image.fromarray(np.array([[90, 110]], dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.array([[100, 155]], dtype=np.uint8)).save(tmp_path / "b.png")
    difference = screen.page.locator("#difference")
    screen.open()
    screen.measure_all([tmp_path / "a.png", tmp_path / "b.png"])
    screen.compare(1)
    expect(difference).to_contain_text("is 27.50 brighter than")
    expect(difference).to_contain_text("(127.50 and 100.00). Median +27.50, \N{GREEK SMALL LETTER SIGMA} +17.50.")
    screen.page.locator("#picture-tools").get_by_role("button", name="Use as reference").click()
    expect(difference).to_be_hidden()
    screen.show(0)
    expect(difference).to_contain_text("is 27.50 darker than")
