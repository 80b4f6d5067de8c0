"""Many images: the list, its files, what is kept over a reload, what is tried again; and the options in the address."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import SAMPLES, bracket, one_color, problems

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Route

    from tests.browser.screen import Screen

# A name that spreadsheets would take for a formula.
FORMULA = "=1+1.png"


@pytest.fixture
def listed(screen: Screen, tmp_path: Path) -> list[Path]:
    """Three exposures, one of a formula's name, and two problems: measured, and in the list."""
    paths = [*bracket(tmp_path)[:3], one_color(tmp_path / FORMULA, 50, (10, 10)), *problems(tmp_path)]
    screen.open()
    screen.file.set_input_files(paths)
    expect(screen.analyze).to_have_text("Analyze 5")
    screen.analyze.click()
    expect(screen.said).to_have_text("4 of 6 images measured; 2 damaged or unsupported.")
    expect(screen.message).to_have_class("message partial")
    expect(screen.rows).to_have_count(6)
    return paths


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_files_have_every_image_its_exact_number_and_no_formula(
    context: BrowserContext, screen: Screen, listed: list[Path]
) -> None:
    with screen.page.expect_download() as download:
        screen.button("Download CSV").click()
    assert download.value.path().read_bytes().startswith(b"\xef\xbb\xbffilename,"), "Excel needs the character set"
    rows = rows_of(screen.saved("Download CSV"))
    expected = [*[path.name for path in listed[:3]], "\\x3D1+1.png", "corrupt.png", "notes.png"]
    assert [row["filename"] for row in rows] == expected
    with Image.open(listed[0]) as image:
        assert float(rows[0]["average_intensity"]) == float(np.asarray(image.convert("L")).mean())
    codes = ["corrupt_image", "unsupported_format"]
    assert [row["code"] for row in rows] == ["", "", "", "", *codes]
    entries = json.loads(screen.saved("Download JSON"))
    assert [entry.get("code") for entry in entries] == [None, None, None, None, *codes]
    assert sum(entries[3]["histogram"]) == entries[3]["pixel_count"] == 100
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    screen.button("Copy table").click()
    expect(screen.button("Copied")).to_be_visible()
    lines = screen.page.evaluate("navigator.clipboard.readText()").split("\n")
    assert [line.split("\t")[0] for line in lines] == ["filename", *expected]
    assert lines[4].split("\t")[1] == "50"
    screen.measure(SAMPLES / "gray-card.png")
    [row] = rows_of(screen.saved("Save as CSV"))
    assert (row["filename"], row["average_intensity"]) == ("gray-card.png", "118")


def test_what_failed_has_the_options_in_the_csv_with_which_it_failed(screen: Screen, tmp_path: Path) -> None:
    problem = {"code": "region_outside_image", "detail": "A part of the region is not in the image."}
    screen.open()
    screen.measure_all(bracket(tmp_path)[:2])
    screen.choose_option("mean")
    screen.button("Measure region").click()
    screen.page.route("**/intensity?*", lambda route: route.fulfill(status=400, json=problem))
    screen.analyze.click()
    expect(screen.alert).to_contain_text("None of the 2 images could be measured.")
    for row in rows_of(screen.saved("Download CSV")):
        assert (row["code"], row["luma"]) == ("region_outside_image", "mean")
        assert row["region"].split(",")[2] == "480"


@pytest.mark.usefixtures("listed")
def test_a_list_is_sorted_compared_reloaded_shortened_and_cleared(screen: Screen) -> None:
    expect(screen.totals).to_have_text("6 images: 4 measured, 2 failed")
    screen.button("Average").click()
    expect(screen.page.locator("th.average[aria-sort=ascending]")).to_have_count(1)
    expect(screen.rows.nth(0)).to_contain_text(FORMULA)
    screen.button("Average").click()
    expect(screen.rows.nth(3)).to_contain_text(FORMULA)
    assert set(screen.names.all_text_contents()[4:]) == {"corrupt.png", "notes.png"}
    answers = json.loads(screen.saved("Download JSON"))
    difference = answers[2]["average_intensity"] - answers[1]["average_intensity"]
    screen.button_of(1, "Use as reference").click()
    expect(screen.rows.nth(1).locator(".difference")).to_have_text("reference")
    expect(screen.rows.nth(2).locator(".difference")).to_have_text(f"\N{MINUS SIGN}{-difference:.2f}")
    screen.reload()
    expect(screen.rows).to_have_count(6)
    screen.show(1)
    expect(screen.result).to_be_visible()
    expect(screen.page.get_by_text("a reload keeps results, not images")).to_be_visible()
    expect(screen.preview).to_have_count(0)
    screen.button_of(0, "Remove").click()
    expect(screen.totals).to_have_text("5 images: 3 measured, 2 failed")
    screen.button("Clear list").click()
    expect(screen.page.locator("#list")).to_be_hidden()
    screen.reload()
    expect(screen.page.locator("#list")).to_be_hidden()


def test_a_reload_says_once_how_many_images_it_lost(screen: Screen, tmp_path: Path) -> None:
    screen.hold(9, after=2)
    screen.open()
    screen.file.set_input_files([*bracket(tmp_path)[:6], problems(tmp_path)[1]])
    screen.analyze.click()
    expect(screen.totals).to_have_text("7 images: 2 measured, 1 failed, 4 under way")
    screen.button_of(5, "Remove").click()  # and nobody misses it
    screen.page.reload()  # once: a second one says nothing
    expect(screen.said).to_have_text(
        "3 images had no result that could be kept over the reload: choose again what is missing."
    )
    expect(screen.totals).to_have_text("3 images: 2 measured, 1 failed")
    screen.reload()
    expect(screen.rows).to_have_count(3)
    expect(screen.message).to_be_hidden()


def test_a_cancelled_run_keeps_what_was_measured_and_goes_on_with_the_rest(screen: Screen, tmp_path: Path) -> None:
    screen.hold(9, after=2)
    screen.open()
    screen.file.set_input_files(bracket(tmp_path)[:6])
    screen.analyze.click()
    expect(screen.page.locator("#figure")).to_have_text("2 done")
    screen.cancel.click()
    expect(screen.said).to_have_text("Cancelled. 6 images: 2 measured, 4 not measured yet.")
    screen.page.unroute("**/intensity?*")
    expect(screen.analyze).to_have_text("Analyze 4")
    screen.analyze.click()
    expect(screen.said).to_contain_text("4 images measured.")  # one of them may have been measured meanwhile


def test_one_that_is_tried_again_while_another_is_measured_counts_once(screen: Screen, tmp_path: Path) -> None:
    held = screen.hold()
    screen.intercept(1, lambda route: route.abort())
    screen.open()
    screen.file.set_input_files(bracket(tmp_path)[:3])
    screen.analyze.click()
    screen.button("Try again").click()
    expect(screen.totals).to_have_text("3 images: 2 measured, 1 under way")
    expect(screen.stage).to_have_text("Measuring 3 images…")
    expect(screen.page.locator("#figure")).to_have_text("2 done")
    held[0].continue_()
    expect(screen.said).to_contain_text("3 images measured.")


def test_what_had_failed_has_failed_when_trying_it_again_is_cancelled(screen: Screen, tmp_path: Path) -> None:
    """Or nothing could try it again: Analyze measures the last choice, which is another image."""
    paths = bracket(tmp_path)[:3]
    screen.intercept(2, lambda route: route.abort())
    screen.open()
    screen.file.set_input_files(paths[:2])
    screen.analyze.click()
    expect(screen.alert).to_contain_text("None of the 2 images could be measured.")
    screen.measure(paths[2])
    screen.hold(9)
    screen.page.locator("#retry-failed").click()
    screen.cancel.click()
    expect(screen.said).to_have_text("Cancelled. 2 images: 2 failed.")
    expect(screen.page.locator("#retry-failed")).to_be_visible()


def test_all_that_failed_are_tried_again_and_a_button_that_goes_leaves_the_focus_beside_it(
    screen: Screen, tmp_path: Path
) -> None:
    screen.intercept(2, lambda route: route.abort())
    screen.open()
    screen.file.set_input_files(bracket(tmp_path)[:4])
    screen.analyze.click()
    expect(screen.said).to_have_text("2 of 4 images measured; 2 not reached.")
    screen.button_of(3, "Use as reference").click()
    expect(screen.rows.nth(3).locator(".select")).to_be_focused()
    screen.page.locator("#retry-failed").click()
    expect(screen.page.locator("#list-view")).to_be_focused()
    expect(screen.totals).to_have_text("4 images: 4 measured")
    expect(screen.page.locator("#retry-failed")).to_be_hidden()
    assert len(screen.uploads) == 6
    screen.page.locator("#refer").click()
    expect(screen.button("Measure region")).to_be_focused()


def test_only_what_trying_again_may_help_is_tried_again(screen: Screen, tmp_path: Path) -> None:
    screen.intercept(1, lambda route: route.abort())
    screen.open()
    screen.file.set_input_files([*bracket(tmp_path)[:3], *problems(tmp_path)])
    screen.analyze.click()
    told = re.compile(r"^2 of 5 images measured; (1 not reached, 2|2) damaged or unsupported(, 1 not reached)?\.$")
    expect(screen.said).to_have_text(told)
    expect(screen.rows.get_by_role("button", name="Try again")).to_have_count(1)
    screen.rows.nth(3).locator(".select").press("Enter")
    expect(screen.rows.nth(3).locator(".status-text")).to_have_text("damaged")
    expect(screen.page.locator("#hint")).to_have_text(
        "This image could not be measured. This PNG is damaged: it is cut short."
    )
    expect(screen.page.locator("#hint")).to_be_in_viewport()
    screen.page.locator("#message").get_by_role("button", name="Retry 1").click()
    expect(screen.totals).to_have_text("5 images: 3 measured, 2 failed")
    expect(screen.message).to_have_class("message success")


def test_a_service_that_says_when_to_come_back_is_asked_again_then(screen: Screen, tmp_path: Path) -> None:
    body = json.dumps({"status": 429, "code": "too_many_requests", "detail": "Too many."})

    def refuse(route: Route) -> None:
        route.fulfill(status=429, headers={"Retry-After": "1"}, content_type="application/problem+json", body=body)

    screen.intercept(2, refuse)
    screen.open()
    screen.measure_all(bracket(tmp_path)[:3])
    assert len(screen.uploads) == 5


def test_a_heading_does_not_say_that_rows_are_sorted_when_they_no_longer_are(screen: Screen, tmp_path: Path) -> None:
    paths = bracket(tmp_path)[:3][::-1]  # the brightest first
    sorted_headings = screen.page.locator("[aria-sort]")
    screen.open()
    screen.file.set_input_files(paths)
    screen.button("Average").click()
    expect(sorted_headings).to_have_count(1)
    screen.analyze.click()
    expect(screen.said).to_contain_text("3 images measured.")
    expect(sorted_headings).to_have_count(0)
    expect(screen.names).to_have_text([path.name for path in paths])
    screen.button("Average").click()
    expect(screen.page.locator("th.average[aria-sort=ascending]")).to_have_count(1)
    expect(screen.names).to_have_text([path.name for path in paths[::-1]])


def test_numbers_by_other_options_than_those_of_the_reference_are_marked_and_not_judged(
    screen: Screen, tmp_path: Path
) -> None:
    paths = bracket(tmp_path)[:4]
    note = "* Measured with other options than the reference"
    marked = screen.page.locator("#rows [aria-current]")
    screen.open()
    screen.measure_all(paths[:3])
    expect(marked).to_have_attribute("title", paths[0].name)
    screen.page.get_by_label("Tolerance").fill("200")
    expect(screen.page.locator("#verdicts")).to_have_text("3 pass, 0 fail")
    expect(screen.page.locator(".list-foot")).not_to_contain_text(note)
    screen.choose_option("mean")
    screen.measure(paths[3])
    expect(screen.page.locator("#rows tr.shown")).to_have_count(1)
    expect(marked).to_have_attribute("title", paths[3].name)
    expect(screen.page.locator("#verdicts")).to_have_text("3 pass, 0 fail, 1 not comparable")
    differences = screen.rows.locator(".difference")
    passes = re.compile(r"^✓ \S+$")
    expect(differences).to_have_text(["reference", passes, passes, re.compile(r"^\+\S+ \*$")])
    expect(screen.page.locator(".list-foot")).to_contain_text(note)
    screen.button("Compare with the reference").click()
    expect(screen.page.locator("#difference")).to_contain_text(
        "They were measured with different options: mean of red, green and blue, hidden colors count; "
        "and Rec. 601 luma, hidden colors count."
    )


# ---- The options in the address -------------------------------------------------------------------------------------


def test_the_options_are_sent_remembered_and_in_the_address(screen: Screen, photo: Path) -> None:
    summary = screen.page.locator("#options-summary")
    screen.open()
    screen.choose_option("mean")
    screen.measure(photo)
    assert screen.uploads[0].url.endswith("/intensity?luma=mean&detail=full")
    assert screen.page.url.endswith("/?luma=mean")
    screen.open("/")
    expect(summary).to_contain_text("mean of red, green and blue")
    screen.open("/?luma=bt709&alpha=white")
    expect(summary).to_have_text("Rec. 709 luma, on a white background")


NOT_VALID = [
    ("region=1,2,3", "region=1,2,3", ""),
    ("region=01,2,3,4", "region=01,2,3,4", ""),  # the API knows one spelling
    ("region=,2,3,4&luma=mean", "region=,2,3,4", "?luma=mean"),
    ("luma=xyz&region=0,0,0,5", "luma=xyz and region=0,0,0,5", ""),
    ("luma=mean&luma=bt709", "luma=bt709", "?luma=mean"),
]


def test_an_option_of_the_address_that_is_not_valid_is_named(screen: Screen) -> None:
    for asked, ignored, in_force in NOT_VALID:
        screen.open(f"/?{asked}&from=a-chat")  # what is no option is no matter of the page
        expect(screen.alert).to_contain_text(f"Ignored, because not valid in the address: {ignored}.")
        assert screen.page.evaluate("location.search") == in_force
        screen.page.evaluate("localStorage.clear()")


def test_a_copied_link_has_the_options_of_its_sender_whatever_its_reader_remembers(screen: Screen) -> None:
    summary = screen.page.locator("#options-summary")
    screen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for options in ("", "?alpha=white", "?region=0,0,5,5"):
        screen.open(f"/{options}")
        sent = summary.inner_text()
        screen.page.locator("#options summary").click()
        screen.button("Copy link").click()
        expect(screen.button("Copied")).to_be_visible()
        link = screen.page.evaluate("navigator.clipboard.readText()")
        screen.choose_option("mean")  # from now on, this browser remembers it
        for _ in range(2):  # the second time, it is a reload
            screen.open(link)
            expect(summary).to_have_text(sent)
            link = screen.page.url
        screen.page.evaluate("localStorage.clear()")
