"""A series of images: filtered, judged by a tolerance, as a line; and looking closer at one."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import SAMPLES, problems
from tests.browser.test_page_list import saved
from tests.browser.test_page_many import grays, measured

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import BrowserContext

    from tests.browser.screen import Screen


@pytest.fixture
def series(screen: Screen, tmp_path: Path) -> list[Path]:
    """Measure grays of 10, 11, 12, 13 and 14, a white one, and a file that is damaged."""
    paths = grays(tmp_path / "series", [f"frame-{number}.png" for number in range(5)])
    white = tmp_path / "series" / "white.png"
    Image.new("L", (8, 8), 255).save(white)
    screen.open()
    screen.file.set_input_files([*paths, white, problems(tmp_path)[0]])
    expect(screen.analyze).to_have_text("Analyze 7")
    screen.analyze.click()
    expect(screen.said).to_have_text("6 of 7 images measured; 1 damaged or unsupported.")
    return paths


def names(screen: Screen) -> list[str]:
    return screen.rows.locator(".name bdi").all_text_contents()


@pytest.mark.usefixtures("series")
def test_the_list_shows_what_one_looks_for(screen: Screen) -> None:
    kind = screen.page.get_by_label("Show", exact=True)
    assert kind.locator("option:not([hidden])").all_text_contents() == ["All (7)", "Failed (1)", "Clipped (1)"]
    screen.page.get_by_label("Filter by name").fill("FRAME-3")
    expect(screen.rows).to_have_count(1)
    screen.page.get_by_label("Filter by name").fill("")
    kind.select_option("failed")
    expect(screen.rows).to_have_count(1)
    assert names(screen) == ["corrupt.png"]
    kind.select_option("clipped")
    expect(screen.rows.first).to_contain_text("white.png")
    expect(screen.page.locator("#totals")).to_have_text("7 images: 6 measured, 1 failed")
    screen.page.get_by_label("Filter by name").fill("no such name")
    expect(screen.rows).to_have_count(0)
    screen.page.get_by_role("button", name="Clear list").click()
    screen.page.get_by_role("button", name="Undo").click()
    expect(screen.rows).to_have_count(7)


@pytest.mark.usefixtures("series")
def test_the_list_is_ordered_by_what_has_no_heading(screen: Screen) -> None:
    for width in (390, 1280):
        screen.page.set_viewport_size({"width": width, "height": 900})
        screen.page.get_by_label("Order", exact=True).select_option("white")
        expect(screen.rows.first).to_contain_text("white.png")
        screen.page.get_by_role("button", name="Average").click()
        expect(screen.rows.first).to_contain_text("frame-0.png")
        expect(screen.page.get_by_label("Order", exact=True)).to_have_value("")


@pytest.mark.usefixtures("series")
def test_a_tolerance_around_the_reference_passes_or_fails_each_number_and_the_csv_says_so(screen: Screen) -> None:
    screen.rows.nth(2).get_by_role("button", name="Use as reference").click()
    screen.page.get_by_label("Tolerance").fill("1")
    expect(screen.page.locator("#verdicts")).to_have_text("3 pass, 3 fail, 1 not comparable")
    minus = "\N{MINUS SIGN}"
    expect(screen.rows.locator(".difference")).to_have_text(
        [f"✗ {minus}2.00", f"✓ {minus}1.00", "reference", "✓ +1.00", "✗ +2.00", "✗ +243.00", "\N{EN DASH}"]
    )
    rows = list(csv.DictReader(io.StringIO(saved(screen, "Download CSV"))))
    assert [row["verdict"] for row in rows] == ["fail", "pass", "pass", "pass", "fail", "fail", ""]
    assert [row["difference"] for row in rows] == ["-2", "-1", "0", "1", "2", "243", ""]
    assert {row["tolerance"] for row in rows} == {"1"}
    screen.page.get_by_label("Show", exact=True).select_option("outside")
    expect(screen.rows).to_have_count(3)
    screen.page.get_by_label("Tolerance").fill("")
    expect(screen.rows).to_have_count(7)
    assert "verdict" not in saved(screen, "Download CSV")


def test_a_number_by_other_options_is_not_judged(screen: Screen, tmp_path: Path) -> None:
    paths = grays(tmp_path / "options", [f"{number}.png" for number in range(4)])
    screen.open()
    measured(screen, paths[:3])
    screen.page.get_by_label("Tolerance").fill("9")
    screen.page.locator("#options summary").click()
    screen.page.get_by_label("Gray from color").select_option("mean")
    screen.measure(paths[3])
    expect(screen.page.locator("#verdicts")).to_have_text("3 pass, 0 fail, 1 not comparable")


@pytest.mark.usefixtures("series")
def test_the_averages_of_a_series_are_a_line_whose_points_lead_to_their_rows(screen: Screen) -> None:
    values = np.array([10, 11, 12, 13, 14, 255])
    expect(screen.page.locator("#mean-of-averages")).to_contain_text(
        f"Mean of the averages: {values.mean():.2f}, \N{GREEK SMALL LETTER SIGMA} {values.std():.2f}"
    )
    plot = screen.page.locator("#series-plot")
    box = plot.bounding_box()
    assert box
    plot.hover(position={"x": box["width"] * 0.8, "y": 20})
    expect(screen.page.locator("#series-readout")).to_contain_text("frame-4.png")
    plot.click(position={"x": box["width"] * 0.8, "y": 20})
    expect(screen.field("filename")).to_have_text("frame-4.png")
    expect(screen.page.locator("#rows .shown")).to_contain_text("frame-4.png")
    assert screen.page.locator("#series-line").get_attribute("d") is not None


@pytest.mark.usefixtures("series")
def test_the_table_is_copied_for_a_spreadsheet(context: BrowserContext, screen: Screen) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    screen.page.get_by_role("button", name="Copy table").click()
    expect(screen.page.get_by_role("button", name="Copied")).to_be_visible()
    lines = screen.page.evaluate("navigator.clipboard.readText()").split("\n")
    assert len(lines) == 8
    assert lines[1].split("\t")[:2] == ["frame-0.png", "10"]


def test_one_image_is_saved_as_csv(screen: Screen) -> None:
    screen.open()
    screen.measure(SAMPLES / "gray-card.png")
    [row] = csv.DictReader(io.StringIO(saved(screen, "Save as CSV")))
    assert (row["filename"], row["average_intensity"]) == ("gray-card.png", "118")


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
    screen.open()
    screen.measure(tmp_path / "hidden.png")
    assert screen.exact == 100
    expect(screen.page.get_by_text("Parts of the picture are transparent.")).to_be_visible()
    screen.page.get_by_role("button", name="Count them less").click()
    expect(screen.field("exact")).to_have_text("200")
    expect(screen.page.get_by_text("Parts of the picture are transparent.")).to_be_hidden()
    screen.measure(SAMPLES / "photo.jpg")
    expect(screen.page.get_by_text("Parts of the picture are transparent.")).to_be_hidden()


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
    screen.open("/?luma=mean")
    screen.measure(tmp_path / "three.png")
    assert color(screen, 0.5) == (255, 0, 0)
    screen.page.get_by_label("Show the picture").select_option("gray")
    assert color(screen, 0.5) == pytest.approx((85, 85, 85), abs=1)
    assert color(screen, 0.1) == (0, 0, 0)
    screen.page.get_by_label("Show the picture").select_option("clipped")
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
    closer, back = (screen.page.get_by_role("button", name=name) for name in ("Zoom in", "Zoom out"))
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


def test_the_divider_of_a_comparison_is_dragged_on_the_picture(screen: Screen, tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, gray in zip(paths, (40, 90), strict=True):
        Image.new("L", (400, 300), gray).save(path)
    screen.open()
    measured(screen, paths)
    screen.rows.nth(1).locator(".select").click()
    screen.page.get_by_role("button", name="Compare with the reference").click()
    stage = screen.page.locator(".stage")
    box = stage.bounding_box()
    assert box
    stage.hover(position={"x": box["width"] / 2, "y": 50})
    screen.page.mouse.down()
    screen.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 50, steps=3)
    screen.page.mouse.up()
    assert float(screen.page.locator("#split").input_value()) == pytest.approx(80, abs=1)
    assert color(screen, 0.7) == (40, 40, 40)
    assert color(screen, 0.9) == (90, 90, 90)
