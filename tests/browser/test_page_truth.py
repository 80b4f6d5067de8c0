"""A number never stands beside what it does not describe; what is done can be undone; nothing jumps."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import SAMPLES, bracket, problems
from tests.browser.screen import Screen
from tests.browser.test_page_list import saved
from tests.browser.test_page_many import drop, grays, measured
from tests.browser.test_page_region import draw, luma_mean, select, typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Route


PHOTO = SAMPLES / "photo.jpg"


def mean_of_colors(path: Path) -> float:
    """The average with `luma=mean`, computed without the service."""
    with Image.open(path) as image:
        sums = np.asarray(image.convert("RGB")).sum(axis=2, dtype=np.int64)
    return float(((sums + 1) // 3).mean())


def choose_mean(screen: Screen) -> None:
    screen.page.locator("#options summary").click()
    screen.page.get_by_label("Gray from color").select_option("mean")


def test_after_another_option_one_image_is_measured_again_by_itself(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.measure(photo)
    choose_mean(screen)
    expect(screen.field("exact")).to_have_text(repr(mean_of_colors(photo)).removesuffix(".0"))
    expect(screen.page.locator("#outdated")).to_be_hidden()
    assert len(screen.uploads) == 2


def test_until_it_is_measured_again_a_number_by_other_options_is_marked(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.measure(photo)
    screen.page.route("**/intensity?*", lambda _: None)
    choose_mean(screen)
    expect(screen.message).to_be_hidden()
    told = "Measured with other options: Rec. 601 luma, hidden colors count."
    expect(screen.page.locator("#outdated")).to_have_text(told)
    expect(screen.field("rounded")).to_have_css("color", "rgb(93, 93, 89)")
    expect(screen.progress).to_be_visible()
    expect(screen.page.locator("#outdated")).to_be_visible()


def test_a_region_that_is_drawn_and_removed_is_measured_by_itself(screen: Screen) -> None:
    screen.open()
    screen.measure(PHOTO)
    select(screen)
    draw(screen, (0.1, 0.2), (0.4, 0.6))
    expect(screen.field("region")).to_contain_text(f"at {typed(screen)[0]}, {typed(screen)[1]}")
    expect(screen.page.locator("#outdated")).to_be_hidden()
    assert screen.exact == luma_mean(PHOTO, typed(screen))
    screen.page.get_by_role("button", name="Remove region").click()
    expect(screen.field("region")).to_be_hidden()
    assert screen.exact == luma_mean(PHOTO, [0, 0, 960, 640])


def test_what_fails_while_it_is_measured_again_by_itself_is_not_tried_without_end(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.measure(photo)
    screen.page.route("**/intensity?*", lambda route: route.abort())
    choose_mean(screen)
    expect(screen.alert).to_contain_text("cannot be reached")
    screen.page.wait_for_timeout(1_000)
    assert len(screen.uploads) == 2
    expect(screen.page.locator("#outdated")).to_be_visible()


def test_of_several_images_the_numbers_are_marked_and_analyze_measures_them_again(
    screen: Screen, tmp_path: Path
) -> None:
    paths = bracket(tmp_path)[:3]
    screen.open()
    measured(screen, paths)
    choose_mean(screen)
    expect(screen.rows.locator(".status-text")).to_have_text(["measured with other options"] * 3)
    expect(screen.page.locator(".list-foot")).to_contain_text("3 measured with other options than those chosen now")
    expect(screen.message).to_be_hidden()
    screen.page.wait_for_timeout(600)
    assert len(screen.uploads) == 3
    expect(screen.analyze).to_have_text("Analyze 3")
    screen.analyze.click()
    expect(screen.rows.locator(".average")).to_have_text([f"{mean_of_colors(path):.2f}" for path in paths])
    expect(screen.page.locator("#rows .outdated")).to_have_count(0)


def edges(screen: Screen) -> tuple[int, ...]:
    """The grays of the preview on the screen at its left and right edges."""
    with Image.open(io.BytesIO(screen.page.locator(".stage").screenshot())) as shot:
        return tuple(int(np.asarray(shot.convert("L"))[shot.height // 2, x]) for x in (5, -5))


def test_the_reference_is_on_the_side_of_the_slider_that_says_so(screen: Screen, tmp_path: Path) -> None:
    paths = [tmp_path / "white.png", tmp_path / "black.png"]
    for path, gray in zip(paths, (255, 0), strict=True):
        Image.new("L", (400, 300), gray).save(path)
    screen.open()
    measured(screen, paths)
    screen.rows.nth(1).locator(".select").click()
    screen.page.get_by_role("button", name="Compare with the reference").click()
    assert screen.page.locator(".range").inner_text().split("\n")[0].startswith("Reference")
    expect(screen.page.locator(".over")).to_have_js_property("complete", value=True)
    assert edges(screen) == (255, 0)
    screen.page.get_by_label("fade").check()
    screen.page.locator("#split").fill("10")  # near the reference
    left, right = edges(screen)
    assert left == right
    assert left > 220


def test_a_region_of_one_image_does_not_go_on_to_the_next_unless_one_asks_for_it(
    screen: Screen, picture: Callable[..., Path]
) -> None:
    screen.open()
    screen.measure(PHOTO)
    select(screen)
    before = typed(screen)
    screen.choose(picture("small.png", (40, 30)))
    expect(screen.said).to_have_text("The region of “\u2068photo.jpg\u2069” is removed.")
    expect(screen.page.locator("#region-fields")).to_be_hidden()
    screen.page.get_by_role("button", name="Use it here, too").click()
    assert typed(screen) == before


def test_the_gray_of_a_pixel_is_that_of_the_chosen_luma(screen: Screen, tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), (255, 0, 0)).save(tmp_path / "red.png")
    for luma, gray in {"bt601": 76, "bt709": 54, "mean": 85}.items():
        screen.open(f"/?luma={luma}")
        screen.measure(tmp_path / "red.png")
        screen.page.locator(".stage").hover()
        expect(screen.page.locator("#pixel")).to_contain_text(f"gray {gray} (")
        assert screen.exact == gray


def test_a_file_that_is_chosen_before_the_scripts_are_there_is_not_lost(screen: Screen, photo: Path) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    screen.page.route("**/app.js", hold)
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
    session = screen.page.context.new_cdp_session(screen.page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver"):
        session.send("Input.dispatchDragEvent", {"type": step, "x": 300, "y": 300, "data": data})
    expect(screen.page.get_by_text("Drop to add")).to_be_in_viewport(ratio=1)
    drop(screen, *paths)
    expect(screen.page.get_by_text("Drop to add")).to_be_hidden()
    expect(screen.rows.last).to_be_in_viewport()


def test_only_what_trying_again_may_help_is_tried_again(screen: Screen, tmp_path: Path) -> None:
    screen.intercept(1, lambda route: route.abort())
    screen.open()
    screen.file.set_input_files([*bracket(tmp_path)[:3], *problems(tmp_path)])
    screen.analyze.click()
    told = re.compile(r"^2 of 5 images measured; (1 not reached, 2|2) damaged or unsupported(, 1 not reached)?\.$")
    expect(screen.said).to_have_text(told)
    expect(screen.rows.get_by_role("button", name="Try again")).to_have_count(1)
    expect(screen.rows.nth(3).locator(".status-text")).to_have_text("damaged")
    screen.page.locator("#message").get_by_role("button", name="Retry 1").click()
    expect(screen.page.locator("#totals")).to_have_text("5 images: 3 measured, 2 failed")
    expect(screen.message).to_have_class("message success")


def test_the_whole_reason_of_a_row_is_in_its_result(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.file.set_input_files([*bracket(tmp_path)[:2], problems(tmp_path)[0]])
    screen.analyze.click()
    expect(screen.said).to_contain_text("1 damaged or unsupported")
    screen.rows.nth(2).locator(".select").press("Enter")
    expect(screen.page.locator("#hint")).to_have_text(
        "This image could not be measured. This PNG is damaged: it is cut short."
    )
    expect(screen.page.locator("#hint")).to_be_in_viewport()


def test_what_is_removed_can_be_brought_back_with_its_number(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    measured(screen, bracket(tmp_path)[:3])
    names = screen.rows.locator(".name bdi").all_text_contents()
    averages = screen.rows.locator(".average").all_text_contents()
    screen.rows.nth(1).get_by_role("button", name="Remove").click()
    expect(screen.rows).to_have_count(2)
    screen.page.get_by_role("button", name="Undo").click()
    expect(screen.rows).to_have_count(3)
    assert screen.rows.locator(".name bdi").all_text_contents() == names
    screen.page.get_by_role("button", name="Clear list").click()
    expect(screen.said).to_have_text("3 images removed.")
    screen.page.get_by_role("button", name="Undo").press("Enter")
    expect(screen.rows.locator(".average")).to_have_text(averages)
    expect(screen.analyze).to_have_text("Analyze again")
    screen.page.reload()
    expect(screen.rows.locator(".average")).to_have_text(averages)


def test_who_leaves_in_the_middle_of_a_run_is_asked(screen: Screen, tmp_path: Path) -> None:
    asked: list[str] = []
    screen.open()
    measured(screen, bracket(tmp_path)[:2])
    screen.page.route("**/intensity?*", lambda _: None)
    screen.analyze.click()
    expect(screen.progress).to_be_visible()

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    screen.page.on("dialog", stay)
    screen.page.close(run_before_unload=True)
    screen.page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
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


def test_with_forced_colors_the_selected_row_and_the_button_can_be_seen(screen: Screen, tmp_path: Path) -> None:
    screen.page.emulate_media(forced_colors="active")
    screen.open()
    screen.choose(PHOTO)
    expect(screen.analyze).to_have_css("forced-color-adjust", "none")
    measured(screen, bracket(tmp_path)[:2])
    expect(screen.rows.first).to_have_css("outline-style", "solid")
    expect(screen.rows.last).to_have_css("outline-style", "none")


def test_enter_in_a_field_of_the_region_measures(screen: Screen) -> None:
    screen.open()
    screen.choose(PHOTO)
    select(screen)
    screen.page.locator("#region-width").fill("100")
    screen.page.locator("#region-width").press("Enter")
    expect(screen.field("region")).to_contain_text("100 \N{MULTIPLICATION SIGN} 320 pixels")


def test_a_region_beyond_the_picture_is_refused_in_the_field(screen: Screen) -> None:
    screen.open()
    screen.choose(PHOTO)
    select(screen)
    before = typed(screen)
    for name, side in {"width": "wide", "height": "high"}.items():
        screen.page.locator(f"#region-{name}").fill("961")
        screen.page.locator(f"#region-{name}").press("Enter")
        expect(screen.alert).to_contain_text(f"pixels {side}")
        assert typed(screen) == before
    assert screen.uploads == []


def test_on_a_mac_and_on_a_phone_the_words_are_theirs(chromium: Browser, server: str, photo: Path) -> None:
    phone = chromium.new_context(base_url=server, is_mobile=True, has_touch=True)
    screen = Screen(phone.new_page())
    screen.page.add_init_script("Object.defineProperty(navigator, 'platform', { get: () => 'iPhone' })")
    screen.open()
    assert screen.page.locator("#command-key").text_content() == "⌘"
    screen.measure(photo)
    expect(screen.page.locator("#readout")).to_have_text("Touch the plot")
    phone.close()


def test_after_a_reload_the_list_is_on_the_screen(screen: Screen, tmp_path: Path) -> None:
    screen.page.set_viewport_size({"width": 390, "height": 700})
    screen.open()
    measured(screen, bracket(tmp_path)[:2])
    screen.page.reload()
    expect(screen.rows.first).to_be_in_viewport()


def test_sorting_scrolls_to_the_top(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    measured(screen, grays(tmp_path / "many", [f"{number}.png" for number in range(40)]))
    view = screen.page.locator("#list-view")
    view.evaluate("element => { element.scrollTop = 900; }")
    screen.page.get_by_role("button", name="Average").click()
    expect(view).to_have_js_property("scrollTop", 0)


def test_what_is_chosen_is_said_to_screen_readers(screen: Screen, tmp_path: Path) -> None:
    announced = screen.page.locator("#announced")
    screen.open()
    screen.choose(PHOTO)
    expect(announced).to_have_text("photo.jpg chosen.")
    screen.file.set_input_files(bracket(tmp_path)[:3])
    expect(announced).to_have_text("3 images chosen.")


def test_the_csv_says_its_character_set(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    measured(screen, bracket(tmp_path)[:2])
    with screen.page.expect_download() as download:
        screen.page.get_by_role("button", name="Download CSV").click()
    assert download.value.path().read_bytes().startswith(b"\xef\xbb\xbffilename,")
    assert saved(screen, "Download CSV").startswith("filename,")
