"""Every state of the page, at phone and desktop size, light and dark: axe finds nothing, and nothing scrolls sideways.

The pictures are in `.screenshots/` afterwards, for people to look at. Scripts are off in test_page_settings.py.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from tests.browser.gallery import SAMPLES, bracket, problems
from tests.browser.test_page_layout import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.screen import Screen

SCREENSHOTS = Path(__file__).parents[2] / ".screenshots"
SIZES = {"desktop": (1280, 900), "phone": (390, 844), "narrow": (320, 640)}
# The 256 rows of the table are alike, and axe takes its time for each.
ALL_BUT = {"exclude": [["#table-body tr:nth-child(n + 9)"]]}
# The dark has other colors, and the same elements in the same places.
COLOR_RULES = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
# A phone and a narrow one have the same elements in the same places: axe looks at the narrow one, people at the other.
SEEN_BY_AXE = {("desktop", "light"): RULES, ("narrow", "light"): RULES, ("desktop", "dark"): COLOR_RULES}


def empty(screen: Screen, _: Path) -> None:
    screen.open_and_wait_for_limits()
    expect(screen.page.locator("#limits")).to_contain_text("megapixels")


def chosen(screen: Screen, _: Path) -> None:
    screen.open()
    screen.choose(SAMPLES / "photo.jpg")


def options(screen: Screen, _: Path) -> None:
    screen.open()
    screen.page.locator("#options summary").click()


def measuring(screen: Screen, _: Path) -> None:
    screen.page.route("**/intensity?*", lambda _: None)
    screen.open()
    screen.choose(SAMPLES / "photo.jpg")
    screen.analyze.click()
    expect(screen.progress).to_be_visible()


def one(screen: Screen, _: Path) -> None:
    screen.open()
    screen.measure(SAMPLES / "photo.jpg")


def scan(screen: Screen, _: Path) -> None:
    one(screen, _)
    screen.measure(SAMPLES / "scan-16-bit.png")
    expect(screen.field("mode")).to_have_text("gray, 16 bits (I;16)")
    for summary in screen.page.locator("#method summary").all():
        summary.click()


def refused(screen: Screen, folder: Path) -> None:
    one(screen, folder)
    screen.file.set_input_files(problems(folder)[1])
    expect(screen.alert).to_contain_text("is not a PNG or JPEG image")


def failed(screen: Screen, folder: Path) -> None:
    screen.open()
    screen.choose(problems(folder)[0])
    screen.analyze.click()
    expect(screen.alert).to_be_visible()


def many(screen: Screen, folder: Path) -> None:
    screen.open()
    screen.file.set_input_files([*bracket(folder), SAMPLES / "scan-16-bit.png", *problems(folder)])
    expect(screen.analyze).to_have_text("Analyze 11")
    screen.analyze.click()
    expect(screen.said).to_have_text("10 of 12 images measured; 2 damaged or unsupported.")


def reloaded(screen: Screen, folder: Path) -> None:
    many(screen, folder)
    screen.reload()
    expect(screen.rows).to_have_count(12)
    screen.show(1)


def comparison(screen: Screen, folder: Path) -> None:
    screen.open()
    screen.measure_all(bracket(folder)[3:5])
    screen.compare(1)
    expect(screen.page.locator(".over")).to_be_visible()


def region(screen: Screen, _: Path) -> None:
    one(screen, _)
    screen.button("Measure region").click()
    screen.analyze.click()
    expect(screen.field("region")).to_have_text("480 \N{MULTIPLICATION SIGN} 320 pixels at 240, 160")


def hit(screen: Screen, folder: Path) -> None:
    one(screen, folder)
    screen.analyze.click()
    expect(screen.said).to_contain_text("Already measured before")


def lost(screen: Screen, folder: Path) -> None:
    """The connection goes, and the number from before stays."""
    one(screen, folder)
    screen.page.route("**/intensity?*", lambda route: route.abort())
    screen.analyze.click()
    expect(screen.page.get_by_text("This result is from before")).to_be_visible()


def told(screen: Screen, folder: Path) -> None:
    """A message that is no success and no error."""
    one(screen, folder)
    screen.page.evaluate("""() => {
        const clipboardData = new DataTransfer();
        document.body.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, clipboardData }));
    }""")
    expect(screen.said).to_contain_text("There is no image in the clipboard.")


def dropping(screen: Screen, folder: Path) -> None:
    empty(screen, folder)
    screen.page.evaluate("""() => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["a"], "a.png"));
        document.body.dispatchEvent(new DragEvent("dragover", { bubbles: true, cancelable: true, dataTransfer }));
    }""")
    expect(screen.page.get_by_text("Drop to add")).to_be_visible()


def unseen(screen: Screen, folder: Path) -> None:
    """A file that begins as a PNG, and that no browser shows."""
    path = folder / "unseen.png"
    path.write_bytes((SAMPLES / "gray-card.png").read_bytes()[:20])
    screen.open()
    screen.choose(path)
    expect(screen.page.get_by_text("No preview: this browser cannot show the image.")).to_be_visible()


def clipped(screen: Screen, folder: Path) -> None:
    """Much black and white, with logarithmic bars, in a picture that is shown turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.linear_gradient("L").point(lambda level: 0 if level < 60 else 255 if level > 190 else level)
    picture.save(folder / "clipped.jpg", exif=exif)
    screen.open()
    screen.measure(folder / "clipped.jpg")
    screen.page.get_by_label("log scale").check()
    expect(screen.page.locator(".much")).to_have_count(2)
    expect(screen.page.get_by_text("Shown turned, as the camera noted")).to_be_visible()


def key(screen: Screen, _: Path) -> None:
    refusal = {"WWW-Authenticate": 'ApiKey realm="intensity"'}
    screen.page.route("**/intensity?*", lambda route: route.fulfill(status=403, headers=refusal))
    screen.open()
    screen.choose(SAMPLES / "photo.jpg")
    screen.analyze.click()
    expect(screen.page.get_by_role("dialog", name="API key")).to_be_visible()


def job(screen: Screen, _: Path) -> None:
    """A job from before a reload is under way."""
    jobs = json.dumps([{"id": "job-1", "name": "a-large-scan.png", "size": 900_000_000, "modified": 0}])
    screen.page.add_init_script(f"sessionStorage.setItem('jobs', {json.dumps(jobs)})")
    screen.page.route("**/jobs/*", lambda route: route.fulfill(json={"id": "job-1", "status": "running"}))
    screen.open()
    expect(screen.stage).to_have_text("Measuring. This may take minutes…")


def measuring_many(screen: Screen, folder: Path) -> None:
    """Three are done, four under way, two wait."""
    left = iter(range(3))
    screen.page.route("**/intensity?*", lambda route: None if next(left, None) is None else route.continue_())
    screen.open()
    screen.file.set_input_files(bracket(folder))
    screen.analyze.click()
    expect(screen.page.locator("#figure")).to_have_text("3 done")


def judged(screen: Screen, folder: Path) -> None:
    """A series with a tolerance, of which only what fails is shown."""
    many(screen, folder)
    screen.page.get_by_label("Tolerance").fill("40")
    expect(screen.page.locator("#verdicts")).to_have_text("3 pass, 7 fail, 2 not comparable")
    screen.page.get_by_label("Show", exact=True).select_option("outside")
    expect(screen.rows).to_have_count(7)


def outdated(screen: Screen, folder: Path) -> None:
    """Numbers by other options, and a message with a button."""
    many(screen, folder)
    screen.choose_option("mean")
    screen.rows.last.get_by_role("button", name="Remove").click()
    expect(screen.button("Undo")).to_be_visible()


def closer(screen: Screen, folder: Path) -> None:
    """Clipped pixels of a picture that is zoomed."""
    screen.open()
    screen.measure(bracket(folder)[-1])
    screen.page.get_by_label("Show the picture").select_option("clipped")
    screen.button("Zoom in").click()


def hidden(screen: Screen, folder: Path) -> None:
    """Transparent parts, whose colors count."""
    picture = Image.new("RGBA", (300, 200), (200, 120, 40, 255))
    picture.paste((0, 0, 0, 0), (50, 50, 250, 150))
    picture.save(folder / "hidden.png")
    screen.open()
    screen.measure(folder / "hidden.png")
    expect(screen.page.get_by_text("Parts of the picture are transparent.")).to_be_visible()


STATES = [
    *(empty, dropping, options, chosen, unseen, measuring, job, key, one, hit, clipped, scan, told),
    *(refused, failed, lost, measuring_many, many, reloaded, comparison, region),
    *(judged, outdated, closer, hidden),
]


@pytest.mark.parametrize("reach", STATES, ids=lambda state: state.__name__)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    screen: Screen, tmp_path: Path, reach: Callable[[Screen, Path], None]
) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    reach(screen, tmp_path)
    found: dict[str, list[str]] = {}
    wide: list[str] = []
    for (name, (width, height)), scheme in product(SIZES.items(), SCHEMES):
        screen.page.set_viewport_size({"width": width, "height": height})
        screen.page.emulate_media(color_scheme=scheme)
        # Not in the middle of a change of colors.
        path = SCREENSHOTS / f"{reach.__name__}-{name}-{scheme}.png"
        screen.page.screenshot(path=path, full_page=True, animations="disabled")
        if screen.page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(f"{name} {scheme}")
        if not (rules := SEEN_BY_AXE.get((name, scheme))):
            continue
        answer = Axe().run(screen.page, ALL_BUT, rules)
        for violation in answer.response["violations"]:
            targets = [json.dumps(node["target"]) for node in violation["nodes"]]
            found[f"{name} {scheme} {violation['id']}"] = targets
    assert found == {}
    assert wide == []


def test_axe_finds_what_is_wrong(screen: Screen) -> None:
    """Or the tests above would prove nothing."""
    screen.open()
    screen.page.evaluate("document.querySelector('#file').removeAttribute('aria-label')")
    screen.page.evaluate("document.querySelector('label[for=file]').remove()")
    assert [found["id"] for found in Axe().run(screen.page, ALL_BUT, RULES).response["violations"]] == ["label"]
    screen.page.evaluate("document.querySelector('h1').style.color = 'silver'")
    found = Axe().run(screen.page, ALL_BUT, COLOR_RULES).response["violations"]
    assert [violation["id"] for violation in found] == ["color-contrast"]


def test_the_samples_are_small_images_of_ours(screen: Screen) -> None:
    """And the gray card has the average that one expects of it."""
    for name in ("photo.jpg", "scan-16-bit.png", "gray-card.png"):
        assert (SAMPLES / name).stat().st_size < 200_000
    screen.open()
    screen.button("a gray card").click()
    expect(screen.field("rounded")).to_have_text("118.00")
    with Image.open(SAMPLES / "gray-card.png") as card:
        assert card.getextrema() == (118, 118)
