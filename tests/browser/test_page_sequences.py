"""Sequences of clicks in which a number, a difference or an offer could outlive what it describes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from image_intensity.measuring import measure
from tests.browser.gallery import colors

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.screen import Screen

BLOCKED = """for (const name of ["sessionStorage", "localStorage"])
    Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });"""


def average(path: Path) -> str:
    """Its number as a row shows it."""
    return f"{measure(path.read_bytes()).average_intensity:.2f}"


def test_a_comparison_ends_with_the_reference_that_is_removed(screen: Screen, tmp_path: Path) -> None:
    difference = screen.page.locator("#difference")
    screen.open()
    screen.measure_all(colors(tmp_path))
    screen.compare(2)
    expect(difference).to_contain_text("than “\u2068a.png\u2069”")
    screen.button_of(0, "Remove").click()
    expect(difference).to_contain_text("“\u2068c.png\u2069” is")
    expect(difference).to_contain_text("than “\u2068b.png\u2069”")


def test_a_comparison_has_the_new_number_of_a_reference_that_is_measured_last(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    screen.measure_all(colors(tmp_path))
    screen.compare(1)
    held = screen.hold()
    screen.choose_option("mean")
    screen.analyze.click()
    expect(screen.page.locator("#figure")).to_have_text("2 done")
    held[0].continue_()
    expect(screen.said).to_contain_text("3 images measured.")
    expect(screen.page.locator("#difference")).to_contain_text("(87.00 and 100.00)")
    expect(screen.page.locator("#difference")).not_to_contain_text("different options")


def test_of_an_image_that_is_chosen_again_among_others_no_number_is_left(screen: Screen, tmp_path: Path) -> None:
    paths = colors(tmp_path, names="abcde")
    screen.open()
    screen.measure_all(paths[:3])
    screen.file.set_input_files(paths[3:])
    expect(screen.analyze).to_have_text("Analyze 2")
    screen.show(0)
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
    expect(screen.averages).to_have_text([average(path) for path in paths])


def test_an_image_that_is_brought_back_while_nobody_answers_is_measured_once(screen: Screen, tmp_path: Path) -> None:
    paths = colors(tmp_path, names="abcd")
    screen.page.route("**/health", lambda route: route.abort())
    screen.open()
    screen.measure_all(paths[:3])
    held = screen.hold(path="**/health")
    screen.choose(paths[3])
    screen.analyze.click()
    expect(screen.progress).to_be_visible()
    screen.rows.last.get_by_role("button", name="Remove").click()
    screen.button("Undo").click()
    expect(screen.progress).to_be_hidden(timeout=3_000)
    screen.analyze.click()
    expect(screen.progress).to_be_visible()
    held[0].continue_()
    expect(screen.averages.last).to_have_text(average(paths[3]))
    screen.page.wait_for_timeout(300)
    assert len(screen.uploads) == 4


def test_undo_is_offered_for_the_last_image_of_a_run_and_measures_it(screen: Screen, tmp_path: Path) -> None:
    paths = colors(tmp_path)
    is_last = b'filename="c.png"'
    screen.intercept(3, lambda route: None if is_last in (route.request.post_data_buffer or b"") else route.continue_())
    screen.open()
    screen.file.set_input_files(paths)
    screen.analyze.click()
    expect(screen.page.locator("#figure")).to_have_text("2 done")
    screen.button_of(2, "Remove").click()
    expect(screen.progress).to_be_hidden()
    expect(screen.said).to_have_text("“\u2068c.png\u2069” removed.")
    screen.button("Undo").click()
    expect(screen.rows.last.locator(".status-text")).to_have_text("not measured yet")
    expect(screen.analyze).to_have_text("Analyze")
    screen.analyze.click()
    expect(screen.averages.last).to_have_text(average(paths[2]))


def test_with_blocked_storage_the_end_of_a_run_says_once_that_nothing_is_kept(screen: Screen, tmp_path: Path) -> None:
    screen.page.add_init_script(BLOCKED)
    screen.page.add_init_script(
        """window.told = [];
        addEventListener("DOMContentLoaded", () => new MutationObserver(() => told.push(said.textContent))
            .observe(document.getElementById("said"), { childList: true }));"""
    )
    screen.open()
    screen.measure_all(colors(tmp_path))
    expect(screen.said).to_contain_text("The browser cannot keep this list over a reload: download it to be sure.")
    assert len([text for text in screen.page.evaluate("told") if text]) == 1
    screen.reload()
    expect(screen.picker).to_have_text("Choose image files")


def test_a_service_that_goes_in_the_middle_and_comes_back_measures_the_rest(screen: Screen, tmp_path: Path) -> None:
    paths = colors(tmp_path, names="abcdef")
    averages = [average(path) for path in paths]
    screen.open()
    screen.measure_all(paths[:2])
    screen.file.set_input_files(paths[2:])
    expect(screen.analyze).to_have_text("Analyze 4")
    for path in ("**/intensity?*", "**/health"):
        screen.page.route(path, lambda route: route.abort("connectionrefused"))
    screen.analyze.click()
    expect(screen.alert).to_contain_text("None of the 4 images could be measured. The service cannot be reached.")
    expect(screen.averages).to_have_text([*averages[:2], *["\N{EN DASH}"] * 4])
    screen.choose_option("mean")
    screen.choose_option("bt601")
    screen.page.unroute_all()
    screen.page.locator("#message").get_by_role("button", name="Retry 4").click()
    expect(screen.said).to_contain_text("4 images measured.")
    expect(screen.averages).to_have_text(averages)
    expect(screen.page.locator("#rows .outdated")).to_have_count(0)
