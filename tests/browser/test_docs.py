"""`/docs` in a real browser, under its own strict Content-Security-Policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.test_page_origins import COLLECT_VIOLATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.screen import Screen


def test_the_documentation_shows_every_operation_measures_an_image_and_breaks_no_policy(
    screen: Screen, photo: Path
) -> None:
    operation = screen.page.locator("#operations-Measurements-measure_image")
    screen.page.add_init_script(COLLECT_VIOLATIONS)
    screen.page.goto("/docs")
    expect(screen.page.locator("#swagger-ui .info .title")).to_contain_text("Image Intensity Service")
    expect(screen.page.locator(".opblock-summary-path")).to_have_count(6)
    operation.locator(".opblock-summary-control").click()
    expect(operation.locator(".responses-table")).to_contain_text("missing_image")
    operation.locator("input[type=file]").set_input_files(photo)
    with screen.page.expect_response("**/intensity*") as answer:
        operation.get_by_role("button", name="Execute").click()
    assert answer.value.status == 200
    expect(operation.locator(".responses-table.live-responses-table")).to_contain_text("average_intensity")
    assert screen.page.evaluate("violations") == []
