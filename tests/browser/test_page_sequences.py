"""Sequences of clicks in which a number, a difference or an offer could outlive what it describes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import expect

from image_intensity.measuring import measure
from tests.browser.test_page_many import grays, measured
from tests.browser.test_page_truth import choose_mean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Route

    from tests.browser.screen import Screen

BLOCKED = """for (const name of ["sessionStorage", "localStorage"])
    Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });"""


def colors(folder: Path, *, names: str = "abc") -> list[Path]:
    """Write images of one color each, whose grays differ with the option `luma`."""
    paths = [folder / f"{name}.png" for name in names]
    for place, path in enumerate(paths):
        Image.new("RGB", (300, 200), (200 - 40 * place, 100, 0)).save(path)
    return paths


def average(path: Path) -> str:
    """Its number as a row shows it."""
    return f"{measure(path.read_bytes()).average_intensity:.2f}"


def hold(held: list[Route]) -> Callable[[Route], None]:
    """A handler that answers nothing yet. (Playwright cannot wrap a method of a list.)"""

    def handle(route: Route) -> None:
        held.append(route)

    return handle


def compared(screen: Screen, paths: list[Path], place: int) -> None:
    """Measure these, and compare one of them with the first."""
    screen.open()
    measured(screen, paths)
    screen.rows.nth(place).locator(".select").click()
    screen.page.get_by_role("button", name="Compare with the reference").click()
    expect(screen.page.locator("#difference")).to_contain_text("a.png")


def test_a_comparison_ends_with_the_reference_that_is_removed(screen: Screen, tmp_path: Path) -> None:
    compared(screen, colors(tmp_path), 2)
    screen.rows.first.get_by_role("button", name="Remove").click()
    expect(screen.page.locator("#difference")).to_contain_text("“\u2068c.png\u2069” is")
    expect(screen.page.locator("#difference")).to_contain_text("than “\u2068b.png\u2069”")


def test_a_comparison_has_the_new_number_of_a_reference_that_is_measured_last(screen: Screen, tmp_path: Path) -> None:
    paths = colors(tmp_path)
    compared(screen, paths, 1)
    held: list[Route] = []
    screen.intercept(1, hold(held))
    choose_mean(screen)
    screen.analyze.click()
    expect(screen.page.locator("#figure")).to_have_text("2 done")
    held[0].continue_()
    expect(screen.said).to_contain_text("3 images measured.")
    expect(screen.page.locator("#difference")).to_contain_text("(87.00 and 100.00)")
    expect(screen.page.locator("#difference")).not_to_contain_text("different options")


def test_of_an_image_that_is_chosen_again_among_others_no_number_is_left(screen: Screen, tmp_path: Path) -> None:
    paths = colors(tmp_path, names="abcde")
    screen.open()
    measured(screen, paths[:3])
    screen.file.set_input_files(paths[3:])
    expect(screen.analyze).to_have_text("Analyze 2")
    screen.rows.first.locator(".select").click()
    expect(screen.result).to_be_visible()
    screen.file.set_input_files(paths[0])
    expect(screen.analyze).to_have_text("Analyze 3")
    expect(screen.result).to_be_hidden()
    expect(screen.rows.nth(1).locator(".difference")).to_have_text("reference")


def test_the_options_of_now_measure_an_image_whose_job_was_cancelled_after_a_reload(
    screen: Screen, tmp_path: Path
) -> None:
    paths = colors(tmp_path, names="ab")
    images = [
        {"id": path.stem, "name": path.name, "size": path.stat().st_size, "modified": int(path.stat().st_mtime * 1000)}
        for path in paths
    ]
    screen.page.add_init_script(f"sessionStorage.setItem('jobs', {json.dumps(json.dumps(images))})")
    screen.page.route("**/jobs/*", lambda route: route.fulfill(json={"id": "a", "status": "running"}))
    screen.open()
    expect(screen.rows.locator(".status-text")).to_have_text(["measuring…"] * 2)
    screen.cancel.click()
    screen.file.set_input_files(paths)
    expect(screen.rows).to_have_count(2)
    screen.analyze.click()
    expect(screen.said).to_contain_text("2 images measured.")
    averages = [average(path) for path in paths]
    expect(screen.rows.locator(".average")).to_have_text(averages)


def test_an_image_that_is_brought_back_while_nobody_answers_is_measured_once(screen: Screen, tmp_path: Path) -> None:
    paths = colors(tmp_path, names="abcd")
    held: list[Route] = []
    screen.page.route("**/health", lambda route: route.abort())
    screen.open()
    measured(screen, paths[:3])
    screen.page.route("**/health", hold(held))
    screen.choose(paths[3])
    screen.analyze.click()
    expect(screen.progress).to_be_visible()
    screen.rows.last.get_by_role("button", name="Remove").click()
    screen.page.get_by_role("button", name="Undo").click()
    expect(screen.progress).to_be_hidden(timeout=3_000)
    screen.analyze.click()
    expect(screen.progress).to_be_visible()
    held[0].continue_()
    expect(screen.rows.last.locator(".average")).to_have_text(average(paths[3]))
    screen.page.wait_for_timeout(300)
    assert len(screen.uploads) == 4


def test_undo_is_offered_for_the_last_image_of_a_run_and_measures_it(screen: Screen, tmp_path: Path) -> None:
    paths = colors(tmp_path)
    screen.intercept(
        3, lambda route: None if b'filename="c.png"' in (route.request.post_data_buffer or b"") else route.continue_()
    )
    screen.open()
    screen.file.set_input_files(paths)
    screen.analyze.click()
    expect(screen.page.locator("#figure")).to_have_text("2 done")
    screen.rows.last.get_by_role("button", name="Remove").click()
    expect(screen.progress).to_be_hidden()
    expect(screen.said).to_have_text("“\u2068c.png\u2069” removed.")
    screen.page.get_by_role("button", name="Undo").click()
    expect(screen.rows.last.locator(".status-text")).to_have_text("not measured yet")
    expect(screen.analyze).to_have_text("Analyze")
    screen.analyze.click()
    expect(screen.rows.last.locator(".average")).to_have_text(average(paths[2]))


def test_with_blocked_storage_the_end_of_a_run_says_once_that_nothing_is_kept(screen: Screen, tmp_path: Path) -> None:
    screen.page.add_init_script(BLOCKED)
    screen.page.add_init_script(
        """window.told = [];
        addEventListener("DOMContentLoaded", () => new MutationObserver(() => told.push(said.textContent))
            .observe(document.getElementById("said"), { childList: true }));"""
    )
    screen.open()
    screen.file.set_input_files(colors(tmp_path))
    screen.analyze.click()
    sentence = "The browser cannot keep this list over a reload: download it to be sure."
    expect(screen.said).to_contain_text(sentence)
    assert len([text for text in screen.page.evaluate("told") if text]) == 1
    screen.page.reload()
    expect(screen.picker).to_have_text("Choose image files")


def test_a_tolerance_in_its_field_is_in_force_after_a_reload(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    measured(screen, colors(tmp_path))
    screen.page.get_by_label("Tolerance").fill("5")
    expect(screen.page.locator("#verdicts")).to_have_text("1 pass, 2 fail")
    screen.page.reload()
    expect(screen.rows).to_have_count(3)
    told = "1 pass, 2 fail" if screen.page.get_by_label("Tolerance").input_value() else ""
    expect(screen.page.locator("#verdicts")).to_have_text(told)


def test_a_service_that_goes_in_the_middle_and_comes_back_measures_the_rest(screen: Screen, tmp_path: Path) -> None:
    paths = colors(tmp_path, names="abcdef")
    averages = [average(path) for path in paths]
    screen.open()
    measured(screen, paths[:2])
    screen.file.set_input_files(paths[2:])
    expect(screen.analyze).to_have_text("Analyze 4")
    for path in ("**/intensity?*", "**/health"):
        screen.page.route(path, lambda route: route.abort("connectionrefused"))
    screen.analyze.click()
    expect(screen.alert).to_contain_text("None of the 4 images could be measured. The service cannot be reached.")
    expect(screen.rows.locator(".average")).to_have_text([*averages[:2], *["\N{EN DASH}"] * 4])
    choose_mean(screen)
    screen.page.get_by_label("Gray from color").select_option("bt601")
    screen.page.unroute_all()
    screen.page.locator("#message").get_by_role("button", name="Retry 4").click()
    expect(screen.said).to_contain_text("4 images measured.")
    expect(screen.rows.locator(".average")).to_have_text(averages)
    expect(screen.page.locator("#rows .outdated")).to_have_count(0)


def test_many_images_are_measured_looked_at_and_shortened_by_keyboard_alone(screen: Screen, tmp_path: Path) -> None:
    paths = grays(tmp_path / "many", [f"{place:03}.png" for place in range(120)])
    screen.open()
    screen.page.on("filechooser", lambda chooser: chooser.set_files(paths))
    screen.file.focus()
    screen.page.keyboard.press("Enter")
    expect(screen.analyze).to_have_text("Analyze 120")
    screen.analyze.focus()
    screen.page.keyboard.press("Enter")
    expect(screen.said).to_contain_text("120 images measured.")
    name = screen.field("filename")
    focused = screen.page.locator("#rows .select:focus")
    screen.rows.first.locator(".select").focus()
    for key, there in (("End", 119), ("ArrowUp", 118), ("PageUp", 110), ("Home", 0), ("PageDown", 8), ("ArrowDown", 9)):
        screen.page.keyboard.press(key)
        expect(name).to_have_text(f"{there:03}.png")
        expect(focused).to_be_in_viewport(ratio=1)
        expect(screen.field("rounded")).to_have_text(f"{10 + there}.00")
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        screen.page.keyboard.press(key)
    expect(screen.page.locator("#totals")).to_contain_text("119 images")
    expect(focused).to_have_attribute("title", "010.png")
    screen.page.keyboard.press("ArrowDown")
    expect(name).to_have_text("011.png")
    screen.page.get_by_role("button", name="Undo").press("Enter")
    expect(screen.page.locator("#totals")).to_contain_text("120 images")
