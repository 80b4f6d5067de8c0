"""A series of images: filtered, judged by a tolerance, as a line; and looking closer at one."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import SAMPLES, grays, one_color, problems

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.screen import Screen


@pytest.fixture
def series(screen: Screen, tmp_path: Path) -> None:
    """Measure grays of 10, 11, 12, 13 and 14, a white one, and a file that is damaged."""
    paths = grays(tmp_path / "series", [f"frame-{number}.png" for number in range(5)])
    screen.open()
    screen.file.set_input_files([*paths, one_color(tmp_path / "white.png", 255, (8, 8)), problems(tmp_path)[0]])
    expect(screen.analyze).to_have_text("Analyze 7")
    screen.analyze.click()
    expect(screen.said).to_have_text("6 of 7 images measured; 1 damaged or unsupported.")


@pytest.mark.usefixtures("series")
def test_the_list_shows_what_one_looks_for_and_orders_it(screen: Screen) -> None:
    kind, order = (screen.page.get_by_label(name, exact=True) for name in ("Show", "Order"))
    name = screen.page.get_by_label("Filter by name")
    for width in (390, 1280):
        screen.page.set_viewport_size({"width": width, "height": 900})
        order.select_option("white")
        expect(screen.rows.first).to_contain_text("white.png")
        screen.button("Average").click()
        expect(screen.rows.first).to_contain_text("frame-0.png")
        expect(order).to_have_value("")
    assert kind.locator("option:not([hidden])").all_text_contents() == ["All (7)", "Failed (1)", "Clipped (1)"]
    name.fill("FRAME-3")
    expect(screen.names).to_have_text(["frame-3.png"])
    name.fill("")
    kind.select_option("failed")
    expect(screen.names).to_have_text(["corrupt.png"])
    kind.select_option("clipped")
    expect(screen.names).to_have_text(["white.png"])
    expect(screen.totals).to_have_text("7 images: 6 measured, 1 failed")
    name.fill("no such name")
    expect(screen.rows).to_have_count(0)
    screen.button("Clear list").click()
    screen.button("Undo").click()
    expect(screen.rows).to_have_count(7)


@pytest.mark.usefixtures("series")
def test_a_tolerance_around_the_reference_passes_or_fails_each_number_and_the_csv_says_so(screen: Screen) -> None:
    tolerance, verdicts = screen.page.get_by_label("Tolerance"), screen.page.locator("#verdicts")
    screen.button_of(2, "Use as reference").click()
    tolerance.fill("1")
    expect(verdicts).to_have_text("3 pass, 3 fail, 1 not comparable")
    minus = "\N{MINUS SIGN}"
    expect(screen.rows.locator(".difference")).to_have_text(
        [f"✗ {minus}2.00", f"✓ {minus}1.00", "reference", "✓ +1.00", "✗ +2.00", "✗ +243.00", "\N{EN DASH}"]
    )
    rows = list(csv.DictReader(io.StringIO(screen.saved("Download CSV"))))
    assert [row["verdict"] for row in rows] == ["fail", "pass", "pass", "pass", "fail", "fail", ""]
    assert [row["difference"] for row in rows] == ["-2", "-1", "0", "1", "2", "243", ""]
    assert {row["tolerance"] for row in rows} == {"1"}
    screen.page.get_by_label("Show", exact=True).select_option("outside")
    expect(screen.rows).to_have_count(3)
    tolerance.fill("")
    expect(screen.rows).to_have_count(7)
    assert "verdict" not in screen.saved("Download CSV")
    tolerance.fill("2")
    screen.reload()
    expect(screen.rows).to_have_count(7)
    assert tolerance.input_value() == verdicts.inner_text() == "", "what is in the field is in force"


@pytest.mark.usefixtures("series")
def test_the_averages_of_a_series_are_a_line_whose_points_lead_to_their_rows(screen: Screen) -> None:
    values = np.array([10, 11, 12, 13, 14, 255])
    expect(screen.page.locator("#mean-of-averages")).to_contain_text(
        f"Mean of the averages: {values.mean():.2f}, \N{GREEK SMALL LETTER SIGMA} {values.std():.2f}"
    )
    plot = screen.page.locator("#series-plot")
    box = plot.bounding_box()
    assert box
    view = screen.page.locator("#list-view")
    before = view.bounding_box()
    plot.hover(position={"x": box["width"] * 0.8, "y": 20})
    expect(screen.page.locator("#series-readout")).to_have_text("14.00: “\u2068frame-4.png\u2069”")
    assert view.bounding_box() == before
    plot.click(position={"x": box["width"] * 0.8, "y": 20})
    expect(screen.field("filename")).to_have_text("frame-4.png")
    expect(screen.page.locator("#rows .shown")).to_contain_text("frame-4.png")
    assert screen.page.locator("#series-line").get_attribute("d") is not None


def test_of_16_bits_the_number_is_also_said_as_stored(screen: Screen) -> None:
    screen.open()
    screen.measure(SAMPLES / "scan-16-bit.png")
    with Image.open(SAMPLES / "scan-16-bit.png") as scan:
        mean = np.asarray(scan, dtype=np.uint16).mean()
    expect(screen.field("native")).to_have_text(f"{mean:,.2f} of 65,535 in 16 bits")
    screen.measure(SAMPLES / "photo.jpg")
    expect(screen.field("native")).to_be_empty()


def test_hidden_colors_that_count_are_pointed_out(screen: Screen, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (100, 100), (200, 200, 200, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 50, 100))
    picture.save(tmp_path / "hidden.png")
    notice = screen.page.get_by_text("Parts of the picture are transparent.")
    screen.open()
    screen.measure(tmp_path / "hidden.png")
    assert screen.exact == 100
    expect(notice).to_be_visible()
    screen.button("Count them less").click()
    expect(screen.field("exact")).to_have_text("200")
    expect(notice).to_be_hidden()
    screen.measure(SAMPLES / "photo.jpg")
    expect(notice).to_be_hidden()


def color(screen: Screen, x: float) -> tuple[int, ...]:
    """A pixel of the preview on the screen, x from 0 to 1."""
    with Image.open(io.BytesIO(screen.page.locator(".stage").screenshot())) as shot:
        pixel = shot.convert("RGB").getpixel((int(x * shot.width), shot.height // 2))
    assert isinstance(pixel, tuple)
    return pixel


def test_the_picture_is_shown_in_the_measured_grays_with_clipped_pixels_marked(screen: Screen, tmp_path: Path) -> None:
    pixels = np.zeros((300, 300, 3), dtype=np.uint8)
    pixels[:, 100:200] = (255, 0, 0)
    pixels[:, 200:] = 255
    Image.fromarray(pixels).save(tmp_path / "three.png")
    look = screen.page.get_by_label("Show the picture")
    screen.open("/?luma=mean")
    screen.measure(tmp_path / "three.png")
    assert color(screen, 0.5) == (255, 0, 0)
    look.select_option("gray")
    assert color(screen, 0.5) == pytest.approx((85, 85, 85), abs=1)
    assert color(screen, 0.1) == (0, 0, 0)
    look.select_option("clipped")
    blue, gray, red = (color(screen, x) for x in (0.1, 0.5, 0.9))
    assert blue[2] > 200 > blue[0]
    assert red[0] > 200 > red[2]
    assert gray == pytest.approx((85, 85, 85), abs=1)


def test_one_looks_closer_and_moves_the_picture_and_draws_on_it(screen: Screen) -> None:
    screen.open()
    screen.measure(SAMPLES / "photo.jpg")
    frame = screen.page.locator("#picture")
    before = frame.bounding_box()
    assert before
    closer, back = screen.button("Zoom in"), screen.button("Zoom out")
    expect(back).to_be_disabled()
    closer.click()
    closer.click()
    assert screen.preview.evaluate("img => img.getBoundingClientRect().width") == pytest.approx(4 * before["width"], 1)
    assert frame.bounding_box() == before
    start = frame.evaluate("frame => frame.scrollLeft")
    frame.hover(position={"x": 200, "y": 200})
    screen.page.mouse.down()
    screen.page.mouse.move(before["x"] + 100, before["y"] + 200, steps=3)
    screen.page.mouse.up()
    assert frame.evaluate("frame => frame.scrollLeft") == pytest.approx(start + 100, abs=2)
    frame.hover(position={"x": 200, "y": 200})
    pixel = screen.page.locator("#pixel").inner_text()
    share = (frame.evaluate("frame => frame.scrollLeft") + 200) / (4 * before["width"])
    assert int(pixel.split()[1].rstrip(",")) == pytest.approx(960 * share, abs=2)
    back.click()
    back.click()
    expect(back).to_be_disabled()
    assert frame.bounding_box() == before


def test_when_the_code_for_comparing_cannot_be_loaded_that_is_said(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.measure_all(grays(tmp_path / "two", ["one.png", "other.png"]))
    screen.page.route("**/compare.js", lambda route: route.abort())
    screen.compare(1)
    expect(screen.alert).to_contain_text("A part of this page cannot be reached.")
    expect(screen.button("Compare with the reference")).to_be_visible()


def test_the_reference_is_left_of_the_divider_that_is_dragged_on_the_picture(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.measure_all([one_color(tmp_path / "white.png", 255), one_color(tmp_path / "black.png", 0)])
    screen.compare(1)
    assert screen.page.locator(".range").inner_text().split("\n")[0].startswith("Reference")
    expect(screen.page.locator(".over")).to_have_js_property("complete", value=True)
    assert color(screen, 0.4) == (255, 255, 255)
    assert color(screen, 0.6) == (0, 0, 0)
    stage, split = screen.page.locator(".stage"), screen.page.locator("#split")
    box = stage.bounding_box()
    assert box
    stage.hover(position={"x": box["width"] / 2, "y": 50})
    screen.page.mouse.down()
    screen.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 50, steps=3)
    screen.page.mouse.up()
    assert float(split.input_value()) == pytest.approx(80, abs=1)
    assert color(screen, 0.7) == (255, 255, 255)
    assert color(screen, 0.9) == (0, 0, 0)
    screen.page.get_by_label("fade").check()
    split.fill("10")  # near the reference
    assert color(screen, 0.1) == color(screen, 0.9)
    assert color(screen, 0.9)[0] > 220
