"""A number never stands beside what it does not describe; what is done can be undone; nothing jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import SAMPLES, bracket, grays, one_color
from tests.browser.screen import Screen
from tests.browser.test_page_region import draw, luma_mean, select, typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog


PHOTO = SAMPLES / "photo.jpg"


def mean_of_colors(path: Path) -> float:
    """The average with `luma=mean`, computed without the service."""
    with Image.open(path) as image:
        sums = np.asarray(image.convert("RGB")).sum(axis=2, dtype=np.int64)
    return float(((sums + 1) // 3).mean())


def test_a_number_by_other_options_is_marked_until_it_is_measured_again_by_itself(screen: Screen, photo: Path) -> None:
    outdated = screen.page.locator("#outdated")
    screen.open()
    screen.measure(photo)
    held = screen.hold()
    screen.choose_option("mean")
    expect(screen.message).to_be_hidden()
    expect(outdated).to_have_text("Measured with other options: Rec. 601 luma, hidden colors count.")
    expect(screen.field("rounded")).to_have_css("color", "rgb(93, 93, 89)")
    expect(screen.progress).to_be_visible()
    expect(outdated).to_be_visible()
    held[0].continue_()
    expect(screen.field("exact")).to_have_text(repr(mean_of_colors(photo)).removesuffix(".0"))
    expect(outdated).to_be_hidden()
    assert len(screen.uploads) == 2


def test_what_fails_while_it_is_measured_again_by_itself_is_not_tried_without_end(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.measure(photo)
    screen.page.route("**/intensity?*", lambda route: route.abort())
    screen.choose_option("mean")
    expect(screen.alert).to_contain_text("cannot be reached")
    screen.page.wait_for_timeout(700)
    assert len(screen.uploads) == 2
    expect(screen.page.locator("#outdated")).to_be_visible()


def test_of_several_images_the_numbers_are_marked_and_analyze_measures_them_again(
    screen: Screen, tmp_path: Path
) -> None:
    paths = bracket(tmp_path)[:3]
    screen.open()
    screen.measure_all(paths)
    screen.choose_option("mean")
    expect(screen.rows.locator(".status-text")).to_have_text(["measured with other options"] * 3)
    expect(screen.page.locator(".list-foot")).to_contain_text("3 measured with other options than those chosen now")
    expect(screen.message).to_be_hidden()
    screen.page.wait_for_timeout(600)
    assert len(screen.uploads) == 3
    expect(screen.analyze).to_have_text("Analyze 3")
    screen.analyze.click()
    expect(screen.averages).to_have_text([f"{mean_of_colors(path):.2f}" for path in paths])
    expect(screen.page.locator("#rows .outdated")).to_have_count(0)


def test_a_region_is_measured_by_itself_and_goes_on_to_the_next_image_only_if_one_asks_for_it(
    screen: Screen, picture: Callable[..., Path]
) -> None:
    screen.open()
    screen.measure(PHOTO)
    select(screen)
    draw(screen, (0.1, 0.2), (0.4, 0.6))
    expect(screen.field("region")).to_contain_text(f"at {typed(screen)[0]}, {typed(screen)[1]}")
    expect(screen.page.locator("#outdated")).to_be_hidden()
    assert screen.exact == luma_mean(PHOTO, typed(screen))
    screen.button("Remove region").click()
    expect(screen.field("region")).to_be_hidden()
    assert screen.exact == luma_mean(PHOTO, [0, 0, 960, 640])
    select(screen)
    before = typed(screen)
    screen.choose(picture("small.png", (40, 30)))
    expect(screen.said).to_have_text("The region of “\u2068photo.jpg\u2069” is removed.")
    expect(screen.page.locator("#region-fields")).to_be_hidden()
    screen.button("Use it here, too").click()
    assert typed(screen) == before


def test_the_gray_of_a_pixel_is_that_of_the_chosen_luma(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.measure(one_color(tmp_path / "red.png", (255, 0, 0)))
    for luma, gray in {"bt601": 76, "bt709": 54, "mean": 85}.items():
        screen.choose_option(luma)
        expect(screen.field("exact")).to_have_text(str(gray))
        screen.page.locator("h1").hover()
        screen.page.locator(".stage").hover()
        expect(screen.page.locator("#pixel")).to_contain_text(f"gray {gray} (")


def test_a_file_that_is_chosen_before_the_scripts_are_there_is_not_lost(screen: Screen, photo: Path) -> None:
    held = screen.hold(path="**/app.js")
    screen.page.goto("/", wait_until="commit")
    screen.file.set_input_files(photo)
    expect(screen.picker).to_have_text("Choose image files")
    while not held:
        screen.page.wait_for_timeout(20)
    held[0].continue_()
    expect(screen.picker).to_have_text("photo.jpg")
    expect(screen.analyze).to_be_enabled()


def test_who_drags_over_a_page_that_is_scrolled_sees_where_to_drop_and_then_what_came(
    screen: Screen, tmp_path: Path
) -> None:
    screen.page.set_viewport_size({"width": 900, "height": 500})
    screen.open()
    screen.measure(PHOTO)
    screen.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    paths = grays(tmp_path / "dropped", ["a.png", "b.png"])
    screen.drop(*paths, steps=("dragEnter", "dragOver"))
    expect(screen.page.get_by_text("Drop to add")).to_be_in_viewport(ratio=1)
    screen.drop(*paths)
    expect(screen.page.get_by_text("Drop to add")).to_be_hidden()
    expect(screen.rows.last).to_be_in_viewport()


def test_what_is_removed_can_be_brought_back_with_its_number(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.measure_all(bracket(tmp_path)[:3])
    names, averages = screen.names.all_text_contents(), screen.averages.all_text_contents()
    screen.button_of(1, "Remove").click()
    expect(screen.rows).to_have_count(2)
    screen.button("Undo").click()
    expect(screen.names).to_have_text(names)
    screen.button("Clear list").click()
    expect(screen.said).to_have_text("3 images removed.")
    screen.button("Undo").press("Enter")
    expect(screen.averages).to_have_text(averages)
    expect(screen.analyze).to_have_text("Analyze again")
    screen.page.set_viewport_size({"width": 390, "height": 700})
    screen.reload()
    expect(screen.averages).to_have_text(averages)
    expect(screen.rows.first).to_be_in_viewport()


def test_who_leaves_in_the_middle_of_a_run_is_asked(screen: Screen, tmp_path: Path) -> None:
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    screen.open()
    screen.measure_all(bracket(tmp_path)[:2])
    screen.hold(2)
    screen.analyze.click()
    expect(screen.progress).to_be_visible()
    screen.page.on("dialog", stay)
    with screen.page.expect_event("dialog"):
        screen.page.close(run_before_unload=True)
    screen.cancel.click()
    with screen.page.expect_event("close"):
        screen.page.close(run_before_unload=True)
    assert asked == ["beforeunload"]


WATCH = """window.seen = [];
addEventListener("DOMContentLoaded", () => {
    const note = () => {
        const isProgress = !document.getElementById("progress").hidden;
        seen.push([isProgress, document.getElementById("panels").getBoundingClientRect().top]);
    };
    new MutationObserver(note).observe(document.body, { attributes: true, childList: true, subtree: true });
});"""


def test_what_takes_no_time_shows_no_progress_and_moves_nothing(screen: Screen, photo: Path) -> None:
    screen.page.add_init_script(WATCH)
    screen.open()
    screen.measure(photo)
    expect(screen.said).to_contain_text("Measured in")
    screen.page.evaluate("seen.length = 0")
    screen.analyze.click()
    expect(screen.said).to_contain_text("answered from the cache")
    seen = screen.page.evaluate("seen")
    assert seen
    assert not any(is_progress for is_progress, _ in seen)
    assert len({top for _, top in seen}) == 1


def test_on_a_mac_and_on_a_phone_the_words_are_theirs(chromium: Browser, server: str, photo: Path) -> None:
    phone = chromium.new_context(base_url=server, is_mobile=True, has_touch=True)
    screen = Screen(phone.new_page())
    screen.page.add_init_script("Object.defineProperty(navigator, 'platform', { get: () => 'iPhone' })")
    screen.open()
    assert screen.page.locator("#command-key").text_content() == "⌘"
    screen.measure(photo)
    expect(screen.page.locator("#readout")).to_have_text("Touch the plot")
    phone.close()


def test_what_is_chosen_is_said_to_screen_readers(screen: Screen, tmp_path: Path) -> None:
    announced = screen.page.locator("#announced")
    screen.open()
    screen.choose(PHOTO)
    expect(announced).to_have_text("photo.jpg chosen.")
    screen.file.set_input_files(bracket(tmp_path)[:3])
    expect(announced).to_have_text("3 images chosen.")
