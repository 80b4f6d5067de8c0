"""The histogram: its two scales, the value under the pointer and by keyboard, and the difference to another image."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.screen import Screen


@pytest.fixture
def two_grays(screen: Screen, tmp_path: Path) -> None:
    """Measure an image of 90 pixels of gray 50 and 10 of gray 200."""
    path = tmp_path / "two.png"
    Image.fromarray(np.array([[50] * 9 + [200]] * 10, dtype=np.uint8)).save(path)
    screen.open()
    screen.measure(path)


def bar(height: float) -> str:
    """A bar of the path, `height` from 0 to 1, in a drawing 100 high."""
    return f"V{100 - 100 * height:.2f}h1"


@pytest.mark.usefixtures("two_grays")
def test_the_bars_are_as_high_as_their_counts_or_as_the_logarithms_and_the_choice_is_remembered(screen: Screen) -> None:
    linear = f"M0 100{bar(0) * 50}{bar(1)}{bar(0) * 149}{bar(10 / 90)}{bar(0) * 55}V100Z"
    expect(screen.page.locator("#bars")).to_have_attribute("d", linear)
    screen.page.get_by_label("log scale").check()
    logarithmic = linear.replace(bar(10 / 90), bar(math.log1p(10) / math.log1p(90)))
    expect(screen.page.locator("#bars")).to_have_attribute("d", logarithmic)
    screen.page.reload()
    expect(screen.page.locator("#log")).to_be_checked()


@pytest.mark.usefixtures("two_grays")
def test_the_pointer_and_the_keys_read_a_value_of_the_plot(screen: Screen) -> None:
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


@pytest.mark.usefixtures("two_grays")
def test_mean_and_median_are_marked_where_they_are(screen: Screen) -> None:
    expect(screen.page.locator("#mean")).to_have_attribute("x1", "65.5")
    expect(screen.page.locator("#median")).to_have_attribute("x1", "50.5")


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


def test_the_reference_has_the_scale_of_the_image_in_shares_of_pixels(screen: Screen, tmp_path: Path) -> None:
    """The reference has 100 pixels of one gray, the image 200 of each of two."""
    Image.new("L", (10, 10), 30).save(tmp_path / "a.png")
    Image.fromarray(np.array([[60] * 10 + [90] * 10] * 20, dtype=np.uint8)).save(tmp_path / "b.png")
    screen.open()
    screen.file.set_input_files([tmp_path / "a.png", tmp_path / "b.png"])
    screen.analyze.click()
    expect(screen.said).to_contain_text("2 images measured.")
    screen.rows.nth(1).locator(".select").click()
    screen.page.get_by_role("button", name="Compare with the reference").click()
    reference = f"M0 100{bar(0) * 30}{bar(1)}{bar(0) * 225}V100Z"
    image = f"M0 100{bar(0) * 60}{bar(0.5)}{bar(0) * 29}{bar(0.5)}{bar(0) * 165}V100Z"
    expect(screen.page.locator("#reference-bars")).to_have_attribute("d", reference)
    expect(screen.page.locator("#bars")).to_have_attribute("d", image)


@pytest.mark.usefixtures("two_grays")
def test_lines_and_percentiles_say_their_values(screen: Screen) -> None:
    expect(screen.page.locator("#mean-label")).to_have_text("mean 65")
    expect(screen.page.locator("#median-label")).to_have_text("median 50")
    expect(screen.field("range")).to_have_text("50\N{EN DASH}200")
    expect(screen.field("middle")).to_have_text("50\N{EN DASH}200")


@pytest.mark.usefixtures("two_grays")
def test_the_table_has_a_row_for_each_gray_value(screen: Screen) -> None:
    screen.page.get_by_text("The histogram as a table").click()
    rows = screen.page.locator("#table-body tr")
    expect(rows).to_have_count(256)
    assert rows.nth(200).locator("td").all_inner_texts() == ["200", "10", "10.0 %"]


def test_an_image_of_one_pixel_has_one_pixel(screen: Screen, tmp_path: Path) -> None:
    Image.new("L", (1, 1), 7).save(tmp_path / "one.png")
    screen.open()
    screen.measure(tmp_path / "one.png")
    expect(screen.field("dimensions")).to_have_text("1 \N{MULTIPLICATION SIGN} 1 (1 pixel)")
    screen.page.locator("#plot").press("ArrowLeft")
    screen.page.locator("#plot").press("ArrowRight")
    expect(screen.page.locator("#readout")).to_have_text("Gray 7: 1 pixel, 100 %")


def test_a_comparison_states_the_difference_of_averages_medians_and_deviations(screen: Screen, tmp_path: Path) -> None:
    Image.fromarray(np.array([[90, 110]], dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.array([[100, 155]], dtype=np.uint8)).save(tmp_path / "b.png")
    screen.open()
    screen.file.set_input_files([tmp_path / "a.png", tmp_path / "b.png"])
    screen.analyze.click()
    expect(screen.said).to_contain_text("2 images measured.")
    screen.rows.nth(1).locator(".select").click()
    screen.page.get_by_role("button", name="Compare with the reference").click()
    difference = screen.page.locator("#difference")
    expect(difference).to_contain_text("is 27.50 brighter than")
    expect(difference).to_contain_text("(127.50 and 100.00). Median +27.50, \N{GREEK SMALL LETTER SIGMA} +17.50.")
    screen.page.locator("#picture-tools").get_by_role("button", name="Use as reference").click()
    expect(difference).to_be_hidden()
    screen.rows.nth(0).locator(".select").click()
    expect(difference).to_contain_text("is 27.50 darker than")
