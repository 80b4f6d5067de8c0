"""Many images: the list, its files, what is kept over a reload, and how smooth 500 are."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import bracket, problems

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from tests.browser.screen import Screen

# A name that spreadsheets would take for a formula.
FORMULA = "=1+1.png"


@pytest.fixture
def listed(screen: Screen, tmp_path: Path) -> list[Path]:
    """Three exposures, one of a formula's name, and two problems: measured, and in the list."""
    paths = [*bracket(tmp_path)[:3], tmp_path / FORMULA, *problems(tmp_path)]
    Image.new("L", (10, 10), 50).save(tmp_path / FORMULA)
    screen.open()
    screen.file.set_input_files(paths)
    expect(screen.analyze).to_have_text("Analyze 5")
    screen.analyze.click()
    expect(screen.said).to_have_text("4 of 6 images measured; 2 damaged or unsupported.")
    expect(screen.rows).to_have_count(6)
    return paths


def saved(screen: Screen, button: str) -> str:
    with screen.page.expect_download() as download:
        screen.page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_text("utf-8-sig")


def names(screen: Screen) -> list[str]:
    return screen.rows.locator(".name bdi").all_text_contents()


@pytest.mark.usefixtures("listed")
def test_partial_success_is_amber_and_the_totals_add_up(screen: Screen) -> None:
    expect(screen.message).to_have_class("message partial")
    expect(screen.page.locator("#totals")).to_have_text("6 images: 4 measured, 2 failed")


def test_the_csv_has_every_image_its_exact_number_and_no_formula(screen: Screen, listed: list[Path]) -> None:
    rows = list(csv.DictReader(io.StringIO(saved(screen, "Download CSV"))))
    expected = [*[path.name for path in listed[:3]], "\\x3D1+1.png", "corrupt.png", "notes.png"]
    assert [row["filename"] for row in rows] == expected
    with Image.open(listed[0]) as image:
        assert float(rows[0]["average_intensity"]) == float(np.asarray(image.convert("L")).mean())
    assert [row["code"] for row in rows] == ["", "", "", "", "corrupt_image", "unsupported_format"]


def test_what_failed_has_the_options_in_the_csv_with_which_it_failed(screen: Screen, tmp_path: Path) -> None:
    problem = {"code": "region_outside_image", "detail": "A part of the region is not in the image."}

    def outside(route: Route) -> None:
        route.fulfill(status=400, json=problem)

    screen.open()
    screen.file.set_input_files(bracket(tmp_path)[:2])
    screen.analyze.click()
    expect(screen.said).to_contain_text("2 images measured.")
    screen.page.locator("#options summary").click()
    screen.page.get_by_label("Gray from color").select_option("mean")
    screen.page.get_by_role("button", name="Measure region").click()
    screen.page.route("**/intensity?*", outside)
    screen.analyze.click()
    expect(screen.alert).to_contain_text("None of the 2 images could be measured.")
    for row in csv.DictReader(io.StringIO(saved(screen, "Download CSV"))):
        assert (row["code"], row["luma"]) == ("region_outside_image", "mean")
        assert row["region"].split(",")[2] == "480"


@pytest.mark.usefixtures("listed")
def test_the_json_has_the_answers_of_the_api(screen: Screen) -> None:
    entries = json.loads(saved(screen, "Download JSON"))
    assert [entry.get("code") for entry in entries] == [None] * 4 + ["corrupt_image", "unsupported_format"]
    assert sum(entries[3]["histogram"]) == entries[3]["pixel_count"] == 100


@pytest.mark.usefixtures("listed")
def test_the_results_survive_a_reload_and_the_images_do_not(screen: Screen) -> None:
    screen.page.reload()
    expect(screen.rows).to_have_count(6)
    screen.rows.nth(1).locator(".select").click()
    expect(screen.result).to_be_visible()
    expect(screen.page.get_by_text("a reload keeps results, not images")).to_be_visible()
    expect(screen.preview).to_have_count(0)


def test_a_reload_says_once_how_many_images_it_lost(screen: Screen, tmp_path: Path) -> None:
    seen: list[Route] = []

    def hold_all_but_two(route: Route) -> None:
        seen.append(route)
        if len(seen) <= 2:
            route.continue_()

    screen.page.route("**/intensity?*", hold_all_but_two)
    screen.open()
    screen.file.set_input_files([*bracket(tmp_path)[:6], problems(tmp_path)[1]])
    screen.analyze.click()
    expect(screen.page.locator("#totals")).to_have_text("7 images: 2 measured, 1 failed, 4 under way")
    screen.rows.nth(5).get_by_role("button", name="Remove").click()  # and nobody misses it
    screen.page.reload()
    expect(screen.said).to_have_text(
        "3 images had no result that could be kept over the reload: choose again what is missing."
    )
    expect(screen.page.locator("#totals")).to_have_text("3 images: 2 measured, 1 failed")
    screen.page.reload()
    expect(screen.rows).to_have_count(3)
    expect(screen.message).to_be_hidden()


@pytest.mark.usefixtures("listed")
def test_a_click_on_a_heading_sorts_and_a_second_one_turns_the_order(screen: Screen) -> None:
    heading = screen.page.get_by_role("button", name="Average")
    heading.click()
    expect(screen.page.locator("th.average[aria-sort=ascending]")).to_have_count(1)
    expect(screen.rows.nth(0)).to_contain_text(FORMULA)
    heading.click()
    expect(screen.rows.nth(3)).to_contain_text(FORMULA)
    assert set(names(screen)[4:]) == {"corrupt.png", "notes.png"}


@pytest.mark.usefixtures("listed")
def test_the_difference_is_to_the_reference_that_was_chosen(screen: Screen) -> None:
    answers = json.loads(saved(screen, "Download JSON"))
    difference = answers[2]["average_intensity"] - answers[1]["average_intensity"]
    screen.rows.nth(1).get_by_role("button", name="Use as reference").click()
    expect(screen.rows.nth(1).locator(".difference")).to_have_text("reference")
    expect(screen.rows.nth(2).locator(".difference")).to_have_text(f"+{difference:.2f}")


@pytest.mark.usefixtures("listed")
def test_one_image_is_removed_and_the_list_is_cleared(screen: Screen) -> None:
    screen.rows.nth(0).get_by_role("button", name="Remove").click()
    expect(screen.page.locator("#totals")).to_have_text("5 images: 3 measured, 2 failed")
    screen.page.get_by_role("button", name="Clear list").click()
    expect(screen.page.locator("#list")).to_be_hidden()
    screen.page.reload()
    expect(screen.page.locator("#list")).to_be_hidden()


def test_a_cancelled_run_keeps_what_was_measured_and_goes_on_with_the_rest(screen: Screen, tmp_path: Path) -> None:
    seen: list[Route] = []

    def hold_all_but_two(route: Route) -> None:
        seen.append(route)  # before anything that lets the next request in
        if len(seen) <= 2:
            route.continue_()

    screen.page.route("**/intensity?*", hold_all_but_two)
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


def test_one_that_failed_is_tried_again(screen: Screen, tmp_path: Path) -> None:
    screen.intercept(1, lambda route: route.abort())
    screen.open()
    screen.file.set_input_files(bracket(tmp_path)[:3])
    screen.analyze.click()
    expect(screen.said).to_have_text("2 of 3 images measured; 1 not reached.")
    screen.page.get_by_role("button", name="Try again").click()
    expect(screen.page.locator("#totals")).to_have_text("3 images: 3 measured")


def test_one_that_is_tried_again_while_another_is_measured_counts_once(screen: Screen, tmp_path: Path) -> None:
    seen: list[Route] = []

    def fail_the_first_and_hold_the_second(route: Route) -> None:
        seen.append(route)
        if len(seen) == 1:
            route.abort()
        elif len(seen) > 2:
            route.continue_()

    screen.page.route("**/intensity?*", fail_the_first_and_hold_the_second)
    screen.open()
    screen.file.set_input_files(bracket(tmp_path)[:3])
    screen.analyze.click()
    screen.page.get_by_role("button", name="Try again").click()
    expect(screen.page.locator("#totals")).to_have_text("3 images: 2 measured, 1 under way")
    expect(screen.stage).to_have_text("Measuring 3 images…")
    expect(screen.page.locator("#figure")).to_have_text("2 done")
    seen[1].continue_()
    expect(screen.said).to_contain_text("3 images measured.")


def test_what_had_failed_has_failed_when_trying_it_again_is_cancelled(screen: Screen, tmp_path: Path) -> None:
    """Or nothing could try it again: Analyze measures the last choice, which is another image."""
    paths = bracket(tmp_path)[:3]
    screen.page.route("**/intensity?*", lambda route: route.abort())
    screen.open()
    screen.file.set_input_files(paths[:2])
    screen.analyze.click()
    expect(screen.alert).to_contain_text("None of the 2 images could be measured.")
    screen.page.unroute("**/intensity?*")
    screen.measure(paths[2])
    screen.page.route("**/intensity?*", lambda _: None)
    screen.page.locator("#retry-failed").click()
    screen.cancel.click()
    expect(screen.said).to_have_text("Cancelled. 2 images: 2 failed.")
    expect(screen.page.locator("#retry-failed")).to_be_visible()


def test_a_heading_does_not_say_that_rows_are_sorted_when_they_no_longer_are(screen: Screen, tmp_path: Path) -> None:
    paths = bracket(tmp_path)[:3][::-1]  # the brightest first
    sorted_headings = screen.page.locator("[aria-sort]")
    screen.open()
    screen.file.set_input_files(paths)
    screen.page.get_by_role("button", name="Average").click()
    expect(sorted_headings).to_have_count(1)
    screen.analyze.click()
    expect(screen.said).to_contain_text("3 images measured.")
    expect(sorted_headings).to_have_count(0)
    assert names(screen) == [path.name for path in paths]
    screen.page.get_by_role("button", name="Average").click()
    expect(screen.page.locator("th.average[aria-sort=ascending]")).to_have_count(1)
    assert names(screen) == [path.name for path in paths[::-1]]


def test_numbers_by_other_options_than_those_of_the_reference_are_marked(screen: Screen, tmp_path: Path) -> None:
    paths = bracket(tmp_path)[:3]
    note = "* Measured with other options than the reference"
    screen.open()
    screen.file.set_input_files(paths[:2])
    screen.analyze.click()
    expect(screen.said).to_contain_text("2 images measured.")
    expect(screen.page.locator(".list-foot")).not_to_contain_text(note)
    screen.page.locator("#options summary").click()
    screen.page.get_by_label("Gray from color").select_option("mean")
    screen.measure(paths[2])
    differences = screen.rows.locator(".difference")
    expect(differences).to_have_text(["reference", re.compile(r"^\S+$"), re.compile(r"^\S+ \*$")])
    expect(screen.page.locator(".list-foot")).to_contain_text(note)
    screen.page.get_by_role("button", name="Compare with the reference").click()
    expect(screen.page.locator("#difference")).to_contain_text(
        "They were measured with different options: mean of red, green and blue, hidden colors count; "
        "and Rec. 601 luma, hidden colors count."
    )


def test_one_row_is_marked_as_the_one_on_show(screen: Screen, tmp_path: Path) -> None:
    paths = bracket(tmp_path)[:3]
    marked = screen.page.locator("#rows [aria-current]")
    screen.open()
    screen.file.set_input_files(paths[:2])
    expect(marked).to_have_attribute("title", paths[0].name)
    screen.analyze.click()
    expect(screen.said).to_contain_text("2 images measured.")
    screen.choose(paths[2])
    expect(screen.rows).to_have_count(3)
    expect(screen.page.locator("#rows tr.shown")).to_have_count(1)
    expect(marked).to_have_attribute("title", paths[2].name)


def test_a_button_that_goes_when_it_is_pressed_leaves_the_focus_beside_it(screen: Screen, tmp_path: Path) -> None:
    focused = screen.page.locator(":focus")
    screen.intercept(2, lambda route: route.abort())
    screen.open()
    screen.file.set_input_files(bracket(tmp_path)[:4])
    screen.analyze.click()
    expect(screen.said).to_have_text("2 of 4 images measured; 2 not reached.")
    screen.rows.nth(3).get_by_role("button", name="Use as reference").click()
    expect(focused).to_have_attribute("title", names(screen)[3])
    screen.page.locator("#retry-failed").click()
    expect(screen.page.locator("#list-view")).to_be_focused()
    expect(screen.page.locator("#totals")).to_have_text("4 images: 4 measured")
    screen.page.locator("#refer").click()
    expect(screen.page.get_by_role("button", name="Measure region")).to_be_focused()


def test_a_share_that_is_not_all_is_never_written_as_100(screen: Screen, tmp_path: Path) -> None:
    path = tmp_path / "nearly-white.png"
    white = Image.new("L", (100, 100), 255)
    white.paste(7, (0, 0, 4, 1))
    white.save(path)
    screen.open()
    screen.measure(path)
    expect(screen.page.locator("#white-share")).to_have_text("⚠ 99.96 %")


def test_a_service_that_says_when_to_come_back_is_asked_again_then(screen: Screen, tmp_path: Path) -> None:
    body = json.dumps({"status": 429, "code": "too_many_requests", "detail": "Too many."})

    def refuse(route: Route) -> None:
        route.fulfill(status=429, headers={"Retry-After": "1"}, content_type="application/problem+json", body=body)

    screen.intercept(2, refuse)
    screen.open()
    screen.file.set_input_files(bracket(tmp_path)[:3])
    screen.analyze.click()
    expect(screen.said).to_contain_text("3 images measured.")
    assert len(screen.uploads) == 5


def test_a_pasted_image_is_chosen(screen: Screen) -> None:
    screen.open()
    screen.page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array([0xff, 0xd8, 0xff, 0xe0])], "image.png"));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }"""
    )
    expect(screen.picker).to_have_text("pasted-1.png")
    expect(screen.analyze).to_be_enabled()


def test_the_options_are_sent_remembered_and_in_the_address(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.page.locator("#options summary").click()
    screen.page.get_by_label("Gray from color").select_option("mean")
    screen.measure(photo)
    assert screen.uploads[0].url.endswith("/intensity?luma=mean&detail=full")
    assert screen.page.url.endswith("/?luma=mean")
    screen.open("/")
    expect(screen.page.locator("#options-summary")).to_contain_text("mean of red, green and blue")
    screen.open("/?luma=bt709&alpha=white")
    expect(screen.page.locator("#options-summary")).to_have_text("Rec. 709 luma, on a white background")


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
        told = re.compile(f"Ignored, because not valid in the address: {re.escape(ignored)}\\.")
        expect(screen.alert).to_have_text(told)
        assert screen.page.evaluate("location.search") == in_force
        screen.page.evaluate("localStorage.clear()")


@pytest.mark.parametrize("options", ["", "?alpha=white", "?region=0,0,5,5"])
def test_a_copied_link_has_the_options_of_its_sender_whatever_its_reader_remembers(
    screen: Screen, options: str
) -> None:
    summary = screen.page.locator("#options-summary")
    screen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    screen.open(f"/{options}")
    sent = summary.inner_text()
    screen.page.locator("#options summary").click()
    screen.page.get_by_role("button", name="Copy link").click()
    expect(screen.page.get_by_role("button", name="Copied")).to_be_visible()
    link = screen.page.evaluate("navigator.clipboard.readText()")
    screen.page.get_by_label("Gray from color").select_option("mean")  # from now on, this browser remembers it
    for _ in range(2):  # the second time, it is a reload
        screen.open(link)
        expect(summary).to_have_text(sent)
        link = screen.page.url


def test_on_a_phone_number_and_plot_of_a_portrait_are_on_the_screen(screen: Screen, tmp_path: Path) -> None:
    path = tmp_path / "portrait.jpg"
    Image.effect_noise((900, 1600), 80).convert("RGB").save(path)
    screen.page.set_viewport_size({"width": 390, "height": 760})
    screen.open()
    screen.measure(path)
    expect(screen.said).to_contain_text("Measured in")
    expect(screen.field("rounded")).to_be_in_viewport(ratio=1)
    expect(screen.page.locator("#plot")).to_be_in_viewport(ratio=0.99)  # a fraction of a pixel
