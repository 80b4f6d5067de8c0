"""Files that the page refuses before it sends anything, and files that only the server can judge."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import Route, expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.screen import Screen

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def expect_refused(screen: Screen, path: Path, reason: str) -> None:
    screen.file.set_input_files(path)
    expect(screen.alert).to_contain_text(path.name)
    expect(screen.alert).to_contain_text(reason)
    expect(screen.analyze).to_be_disabled()
    expect(screen.preview).to_have_count(0)
    expect(screen.picker).to_have_text("Choose image files")
    assert screen.uploads == []


OTHERS = {
    b"GIF89a": "is a GIF image. Save it as PNG.",
    b"\0\0\0\x18ftypheic": "is a HEIC photo. Export it as JPEG.",
    b"RIFF\0\0\0\0WEBP": "is a WebP image. Save it as PNG.",
    b"II*\0": "is a TIFF image, or a raw photo. Export it as PNG.",
    b"%PDF-1.7": "is a PDF document. Export its picture as PNG.",
    b"": "empty",
}


def test_what_is_something_else_is_named_with_what_helps_and_not_sent(screen: Screen, tmp_path: Path) -> None:
    screen.open()
    for number, (start, sentence) in enumerate(OTHERS.items()):
        path = tmp_path / f"IMG_{number}.jpg"
        path.write_bytes(start and start.ljust(100, b"\0"))
        expect_refused(screen, path, sentence)


def test_without_health_the_server_judges_the_size_and_its_answer_is_shown(screen: Screen, tmp_path: Path) -> None:
    screen.page.route("**/health", lambda route: route.abort())
    screen.open_and_wait_for_limits()
    limit = screen.page.request.get("/health").json()["limits"]["max_content_length"]
    path = tmp_path / "large.png"
    path.write_bytes(PNG_SIGNATURE.ljust(limit + 1, b"\0"))
    screen.choose(path)
    with screen.page.expect_response("**/intensity?*") as answer:
        screen.analyze.click()
    assert answer.value.status == 413
    expect(screen.alert).to_contain_text(answer.value.json()["detail"])
    expect(screen.alert).to_contain_text(answer.value.json()["request_id"])


def test_without_health_the_limits_are_asked_for_once_for_all_images_of_a_run(
    screen: Screen, picture: Callable[..., Path]
) -> None:
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    screen.page.route("**/health", refuse)
    screen.open_and_wait_for_limits()
    screen.file.set_input_files([picture(f"{number}.png") for number in range(12)])
    screen.analyze.click()
    expect(screen.said).to_contain_text("12 images measured.")
    assert len(asked) == 2  # as the page was loaded, and with the run


def test_an_unexpected_health_answer_does_not_stop_the_page(screen: Screen, photo: Path) -> None:
    for body in ('{"status": "ok"}', "<html>not the service</html>"):
        screen.page.route("**/health", partial(Route.fulfill, body=body))
        screen.open()
        screen.measure(photo)


def test_content_and_not_the_name_counts_and_what_the_browser_cannot_show_is_left_to_the_server(
    screen: Screen, tmp_path: Path
) -> None:
    path = tmp_path / "image.txt"
    Image.new("L", (4, 4), 77).save(path, format="PNG")
    screen.open()
    screen.measure(path)
    assert screen.exact == 77
    path = tmp_path / "damaged.png"
    path.write_bytes(PNG_SIGNATURE + b"not a picture")
    screen.choose(path)
    expect(screen.page.get_by_text("No preview")).to_be_visible()
    with screen.page.expect_response("**/intensity?*") as answer:
        screen.analyze.click()
    assert (answer.value.status, answer.value.json()["code"]) == (400, "corrupt_image")
    expect(screen.alert).to_contain_text(answer.value.json()["detail"])
    expect(screen.page.get_by_text("This image could not be measured.")).to_be_visible()
    expect(screen.result).to_be_hidden()


def test_a_file_that_changed_after_it_was_chosen_is_asked_for_again(screen: Screen, photo: Path) -> None:
    screen.open()
    screen.choose(photo)
    photo.write_bytes(photo.read_bytes() + b"edited")
    screen.analyze.click()
    expect(screen.alert).to_contain_text("choose it again")
    assert screen.uploads == []


def test_a_refused_file_leaves_the_last_result_as_it_was(
    screen: Screen, photo: Path, picture: Callable[..., Path], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    screen.open()
    screen.measure(photo)
    screen.file.set_input_files(empty)
    expect(screen.alert).to_contain_text("empty")
    expect(screen.result).to_be_visible()
    expect(screen.field("filename")).to_have_text("photo.jpg")
    expect(screen.picker).to_have_text("photo.jpg")
    expect(screen.preview).to_have_attribute("alt", "Preview of photo.jpg")
    screen.measure(picture("next.png"))
    expect(screen.alert).to_be_hidden()


def test_a_file_name_is_text_and_never_markup(screen: Screen, picture: Callable[..., Path]) -> None:
    name = "<img src=x onerror=document.title='broken'>.png"
    screen.open()
    screen.measure(picture(name))
    expect(screen.picker).to_have_text(name)
    expect(screen.page.locator("img")).to_have_count(1)
    expect(screen.page).to_have_title("Image Intensity")
