"""A long list stays small in the document; folders; images of one name; long names; the keyboard alone."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.gallery import frames, grays

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Route

    from tests.browser.screen import Screen

URLS = """window.alive = new Set();
const { createObjectURL, revokeObjectURL } = URL;
URL.createObjectURL = (blob) => { const url = createObjectURL.call(URL, blob); alive.add(url); return url; };
URL.revokeObjectURL = (url) => { alive.delete(url); revokeObjectURL.call(URL, url); };"""


def test_of_a_long_list_only_what_is_in_view_is_in_the_document(screen: Screen, tmp_path: Path) -> None:
    screen.page.add_init_script(URLS)
    screen.open()
    screen.measure_all(grays(tmp_path / "many", [f"{number}.png" for number in range(100)]))
    view = screen.page.locator("#list-view")
    assert screen.rows.count() < 40
    expect(screen.page.get_by_role("table").first).to_have_attribute("aria-rowcount", "101")
    view.evaluate("element => { element.scrollTop = element.scrollHeight; }")
    expect(screen.rows.last).to_contain_text("99.png")
    expect(screen.rows.last).to_be_in_viewport()
    expect(screen.rows.last).to_have_attribute("aria-rowindex", "101")
    assert screen.rows.count() < 40
    screen.button("Average").dblclick()  # descending
    expect(view).to_have_js_property("scrollTop", 0)
    expect(screen.rows.first).to_contain_text("99.png")
    assert screen.page.evaluate("alive.size") == 1
    screen.reload()
    expect(screen.totals).to_have_text("100 images: 100 measured")
    assert screen.page.evaluate("alive.size") == 0


def test_all_rows_have_one_height_whatever_is_in_them(screen: Screen, tmp_path: Path) -> None:
    """From it, the place of each row is known. The pixels of a camera did not fit on one line."""
    names = ["plain.png", "large.png", f"{'long-' * 30}name.png", "another.png"]
    paths = grays(tmp_path / "rows", names)
    headers = {"Content-Type": "image/png"}
    plain = screen.page.request.post("/intensity?detail=full", data=paths[0].read_bytes(), headers=headers).json()
    extreme = {"share_white": 0.99999, "share_black": 0.00001, "standard_deviation": 100.25}
    large = {"image_size": [31_622, 31_622], "image_size_bytes": 1_999_999_999}
    measured = {**plain, **large, "statistics": {**plain["statistics"], **extreme}}
    problem = {"code": "corrupt_image", "detail": "It is damaged in many ways. " * 20}
    answers = iter([(200, plain), (200, measured), (200, measured), (400, problem)])

    def answer(route: Route) -> None:
        status, body = next(answers)
        route.fulfill(status=status, json=body)

    screen.page.route("**/intensity?*", answer)
    screen.open()
    screen.file.set_input_files(paths)
    screen.analyze.click()
    expect(screen.totals).to_have_text("4 images: 3 measured, 1 failed")
    expect(screen.progress).to_be_hidden()
    script = "cells => cells.map(cell => cell.scrollWidth <= cell.clientWidth)"
    for width in (1280, 768, 320):
        screen.page.set_viewport_size({"width": width, "height": 900})
        heights = screen.rows.evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)")
        assert heights == pytest.approx([heights[0]] * 4, abs=0.1)
        assert screen.rows.locator(".size").evaluate_all(script) == [True] * 4


# ---- Folders --------------------------------------------------------------------------------------------------------


def test_a_dropped_folder_gives_its_images_and_those_of_its_folders(screen: Screen, tmp_path: Path) -> None:
    folder = tmp_path / "roll"
    grays(folder, ["b10.png", "b9.png"])
    grays(folder / "more", ["b9.png"])  # named as another one
    (folder / "notes.txt").write_text("no image")
    screen.open()
    screen.drop(folder)
    expect(screen.said).to_have_text("3 images chosen; 1 other file left out.")
    expect(screen.names).to_have_text(["roll/b9.png", "roll/b10.png", "roll/more/b9.png"])


# A folder with an image, a file and a folder. The last two cannot be read: those who run the tests may read all.
LOCKED = """const entry = (fullPath, more) => ({ name: fullPath.split("/").pop(), fullPath, ...more });
const fail = (_, failed) => failed(new DOMException("", "NotReadableError"));
const give = async (found) => found(new File([await (await fetch("samples/gray-card.png")).blob()], "1.png"));
const children = [
    entry("/roll/1.png", { isFile: true, file: give }),
    entry("/roll/locked.png", { isFile: true, file: fail }),
    entry("/roll/locked", { isDirectory: true, createReader: () => ({ readEntries: fail }) }),
];
const roll = { isDirectory: true, createReader: () => ({ readEntries: (found) => found(children.splice(0)) }) };
DataTransferItem.prototype.webkitGetAsEntry = () => entry("/roll", roll);"""


def test_what_cannot_be_read_in_a_dropped_folder_has_rows_that_say_so(screen: Screen, tmp_path: Path) -> None:
    screen.page.add_init_script(LOCKED)
    screen.open()
    screen.drop(tmp_path)
    expect(screen.names).to_have_text(["roll/1.png", "roll/locked", "roll/locked.png"])
    for place in (1, 2):
        expect(screen.rows.nth(place).locator(".status-text")).to_contain_text("cannot be read")
    screen.analyze.click()
    expect(screen.totals).to_have_text("3 images: 1 measured, 2 failed")


def test_a_dropped_folder_without_a_usable_image_is_an_error_although_other_files_are_left_out(
    screen: Screen, tmp_path: Path
) -> None:
    for name in ("damaged.png", "notes.txt"):
        (tmp_path / name).write_text("no image")
    screen.open()
    screen.drop(tmp_path)
    expect(screen.alert).to_contain_text("is not a PNG or JPEG image")
    screen.page.wait_for_timeout(200)
    expect(screen.alert).to_be_visible()


# ---- Images of one name ---------------------------------------------------------------------------------------------


def test_two_images_of_one_name_size_and_time_have_two_rows_and_each_chosen_again_keeps_its_own(
    screen: Screen, tmp_path: Path
) -> None:
    paths = frames(tmp_path)
    screen.open()
    for path in paths:
        screen.measure(path)
        expect(screen.stage).to_be_empty()
    expect(screen.averages).to_have_text(["10.00", "20.00"])
    for path in paths:
        screen.choose(path)
        expect(screen.totals).to_have_text("2 images: 1 measured, 1 not measured yet")
        screen.analyze.click()
        expect(screen.totals).to_have_text("2 images: 2 measured")
    expect(screen.averages).to_have_text(["10.00", "20.00"])
    screen.reload()
    expect(screen.totals).to_have_text("2 images: 2 measured")
    screen.file.set_input_files(paths[::-1])
    expect(screen.totals).to_have_text("2 images: 2 not measured yet")
    screen.analyze.click()
    expect(screen.totals).to_have_text("2 images: 2 measured")
    expect(screen.averages).to_have_text(["20.00", "10.00"])


# ---- Names ----------------------------------------------------------------------------------------------------------

LONG = "scan-of-the-negative-from-the-second-roll-of-november-number-{}.png"


def ends_in_sight(names: Locator) -> list[bool]:
    """Whether the right edge of each name's last part is within the box of the whole name."""
    script = """all => all.map(name => {
        const range = document.createRange();
        range.selectNodeContents(name.lastElementChild);
        return range.getBoundingClientRect().right <= name.parentElement.getBoundingClientRect().right + 1;
    })"""
    found: list[bool] = names.evaluate_all(script)
    return found


def test_of_long_names_the_end_stays_visible(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.measure_all(grays(tmp_path / "long", [LONG.format(number) for number in (1, 2, 3)]))
    screen.choose(tmp_path / "long" / LONG.format(2))
    expect(screen.picker).to_have_attribute("title", LONG.format(2))
    for width in (1100, 320):
        screen.page.set_viewport_size({"width": width, "height": 700})
        assert ends_in_sight(screen.names) == [True] * 3
        assert ends_in_sight(screen.picker) == [True]


# What a photographer or a lab writes: alike but for one character in the middle, 54 characters long.
TWINS = [f"2026-11-24 kitchen wall, lamp {lamp}, 2 m, second try, raw.png" for lamp in (1, 2)]
MIDDLE = TWINS[0].index("1, 2 m")
# Left and right of the character at a place, of the part of the name that it is in, and of the name; what is cut of
# all parts (pixels); and the lower edge of the name.
BOXES = """(name, place) => {
    const [first, second] = name.children;
    const isFirst = place < first.textContent.length;
    const part = isFirst ? first : second;
    const range = document.createRange();
    const start = isFirst ? place : place - first.textContent.length;
    range.setStart(part.firstChild, start);
    range.setEnd(part.firstChild, start + 1);
    const boxes = [range, part, name].map((what) => what.getBoundingClientRect());
    const cut = [...name.children].map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
    return [boxes.map(({ left, right }) => [left, right]), cut, boxes[2].bottom];
}"""
TEXT_BOX = """element => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return range.getBoundingClientRect().toJSON();
}"""


def test_on_a_phone_two_names_that_differ_only_in_their_middle_look_different(screen: Screen, tmp_path: Path) -> None:
    screen.page.set_viewport_size({"width": 390, "height": 844})
    screen.open()
    screen.measure_all(grays(tmp_path / "twins", TWINS))
    for width, (twin, row) in product((390, 320), zip(TWINS, screen.rows.all(), strict=True)):
        screen.page.set_viewport_size({"width": width, "height": 844})
        name = row.locator(".name bdi")
        expect(name).to_have_text(twin)
        [(left, right), part, whole], cut, bottom = name.evaluate(BOXES, MIDDLE)
        assert max(part[0], whole[0]) <= left < right <= min(part[1], whole[1])
        assert cut == [0, 0]
        assert bottom <= row.locator(".average").evaluate(TEXT_BOX)["top"] + 1, "the name is over the number"


def test_on_a_phone_result_and_preview_tell_the_whole_of_a_name_that_has_no_room(
    screen: Screen, tmp_path: Path
) -> None:
    twins = [f"{'a' * 110}{middle}{'b' * 110}.png" for middle in "XY"]
    preview_name = screen.page.locator("#preview-name")
    screen.page.set_viewport_size({"width": 320, "height": 844})
    screen.open()
    paths = grays(tmp_path / "twins", twins)
    screen.choose(paths[0])
    expect(preview_name).to_have_text(twins[0])
    text = preview_name.evaluate(TEXT_BOX)
    assert text["right"] <= 320
    assert text["height"] > 100, "it takes several lines"
    screen.measure_all(paths)
    for name, row in zip(twins, screen.rows.all(), strict=True):
        select = row.get_by_role("button", name=name)
        expect(select).to_have_attribute("title", name)
        select.click()
        expect(screen.field("filename")).to_have_text(name)
        inner, outer = screen.field("filename").evaluate("field => [field.scrollWidth, field.clientWidth]")
        assert inner <= outer


def test_a_name_written_from_right_to_left_does_not_turn_its_surroundings(screen: Screen, tmp_path: Path) -> None:
    name = "صورة-قديمة-من-الألبوم-12.png"
    screen.open()
    screen.measure(grays(tmp_path / "right", [name])[0])
    assert screen.picker.evaluate("name => getComputedStyle(name).direction") == "rtl"
    screen.page.route("**/intensity?*", lambda route: route.abort())
    screen.analyze.click()
    expect(screen.page.locator("#alert")).to_contain_text(
        f"“\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}” could not be measured."
    )
    expect(screen.field("filename")).to_have_attribute("dir", "auto")
    assert screen.page.locator("html").evaluate("html => getComputedStyle(html).direction") == "ltr"


def test_a_long_name_is_never_cut_within_an_emoji(screen: Screen, tmp_path: Path) -> None:
    emoji = "\N{WOMAN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}"
    screen.open()
    screen.file.set_input_files(grays(tmp_path / "emoji", [f"{number}{emoji * 23}.png" for number in range(2)]))
    expect(screen.rows).to_have_count(2)
    halves = screen.rows.first.locator("bdi span").all_text_contents()
    assert halves == [f"0{emoji * 13}", f"{emoji * 10}.png"]


# ---- By keyboard alone ----------------------------------------------------------------------------------------------


def test_many_images_are_measured_sorted_looked_at_and_shortened_by_keyboard_alone(
    screen: Screen, tmp_path: Path
) -> None:
    paths = grays(tmp_path / "many", [f"{place:03}.png" for place in range(120)])
    screen.page.on("filechooser", lambda chooser: chooser.set_files(paths))
    screen.open()
    press = screen.page.keyboard.press

    def tab_to(target: Locator) -> None:
        for _ in range(60):
            if target.evaluate("element => element === document.activeElement"):
                return
            press("Tab")
        pytest.fail("the Tab key does not come to it")

    tab_to(screen.file)
    press("Enter")
    expect(screen.analyze).to_have_text("Analyze 120")
    tab_to(screen.analyze)
    press("Enter")
    expect(screen.said).to_contain_text("120 images measured.")
    tab_to(screen.button("Average"))
    press("Enter")
    press("Enter")
    expect(screen.rows.first).to_contain_text("119.png")
    press("Enter")
    expect(screen.rows.first).to_contain_text("000.png")
    tab_to(screen.rows.first.locator(".select"))
    name = screen.field("filename")
    focused = screen.page.locator("#rows .select:focus")
    for key, there in (("End", 119), ("ArrowUp", 118), ("PageUp", 110), ("Home", 0), ("PageDown", 8), ("ArrowDown", 9)):
        press(key)
        expect(name).to_have_text(f"{there:03}.png")
        expect(focused).to_be_in_viewport(ratio=1)
        expect(screen.field("rounded")).to_have_text(f"{10 + there}.00")
    for key in ("ArrowRight", "ArrowRight"):  # past "Use as reference"
        press(key)
    expect(screen.page.locator("[data-action=remove]:focus")).to_have_count(1)
    press("Enter")
    expect(screen.totals).to_contain_text("119 images")
    expect(focused).to_have_attribute("title", "010.png")
    press("ArrowDown")
    expect(name).to_have_text("011.png")
    screen.button("Undo").press("Enter")
    expect(screen.totals).to_contain_text("120 images")
