"""Images above the inline ceiling go to the storage by themselves, and end in the same result or in a clear sentence.

The service's and the storage's answers are the tests' own here, so that each can be lost, late or a refusal.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page, Request

    from tests.browser.screen import Screen

    Answer = Callable[[Route], None]

INLINE_LIMIT = 20_000
UPLOAD_LIMIT = 200_000
LIMITS = {"max_content_length": INLINE_LIMIT, "max_upload_bytes": UPLOAD_LIMIT}
# At the page's own origin: its Content-Security-Policy allows no other one here.
STORAGE = "/storage-of-the-test"
ALL = ["uploads", "storage", "intensity"]
FIELDS = {"key": "uploads/1", "Content-Type": "image/png", "policy": "signed", "x-amz-signature": "abc"}
MEASUREMENT = {
    "average_intensity": 12.34567,
    "filename": "large.png",
    "image_size": [200, 150],
    "original_mode": "RGB",
    "pixel_count": 30_000,
    "duration_ms": 3.5,
    "image_size_bytes": 90_123,
    "request_id": "measured-1",
}


class Backend:
    """The service and its storage as the page meets them. `asked` has what they were asked for, in order."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.requests: dict[str, list[Request]] = {name: [] for name in ALL}
        self.known = False
        self.next: dict[str, list[Answer]] = {name: [] for name in ALL}
        self.is_away = False
        page.route("**/health", lambda route: lost(route) if self.is_away else route.fulfill(json={"limits": LIMITS}))
        page.route("**/uploads", lambda route: self._answer("uploads", route))
        page.route(f"**{STORAGE}", lambda route: self._answer("storage", route))
        page.route("**/intensity?*", lambda route: self._answer("intensity", route))

    def then(self, name: str, *answers: Answer) -> None:
        """What `name` does with its next requests, before it goes back to answering well."""
        self.next[name] += answers

    def _answer(self, name: str, route: Route) -> None:
        self.asked.append(name)
        self.requests[name].append(route.request)
        well = {"uploads": self.announce, "storage": self.store, "intensity": self.measure}[name]
        answer = self.next[name].pop(0) if self.next[name] else well
        answer(route)

    def announce(self, route: Route) -> None:
        number = len(self.requests["uploads"])
        form = {"url": None, "fields": None} if self.known else {"url": STORAGE, "fields": FIELDS}
        answer = {"known": self.known, "ticket": f"ticket-{number}", "expires_at": "2026-11-22T12:00:00Z", **form}
        route.fulfill(status=201, json={**answer, "request_id": f"announced-{number}"})

    def store(self, route: Route) -> None:
        route.fulfill(status=204, headers={"access-control-allow-origin": "*"})

    def measure(self, route: Route) -> None:
        route.fulfill(json=MEASUREMENT, headers={"X-Cache": "hit" if self.known else "miss"})

    def heard(self, name: str) -> list[dict[str, Any]]:
        """The JSON that `name` was sent."""
        return [json.loads(request.post_data or "") for request in self.requests[name]]


def lost(route: Route) -> None:
    route.abort("connectionreset")


def held(_: Route) -> None:
    """No answer, ever."""


def problem(status: int, code: str, detail: str) -> Answer:
    body = {"title": "A title", "status": status, "code": code, "detail": detail, "request_id": "problem-1"}
    return lambda route: route.fulfill(status=status, content_type="application/problem+json", body=json.dumps(body))


def refused(status: int, code: str, message: str = "An error.") -> Answer:
    """A refusal as S3 writes it."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    headers = {"access-control-allow-origin": "*", "content-type": "application/xml"}
    return lambda route: route.fulfill(status=status, headers=headers, body=body)


@pytest.fixture
def context(fresh_context: BrowserContext) -> BrowserContext:
    """Most of these tests set the clock."""
    return fresh_context


@pytest.fixture
def backend(screen: Screen) -> Backend:
    backend = Backend(screen.page)
    with screen.page.expect_request_finished(lambda request: request.url.endswith("/health")):
        screen.open()
    return backend


@pytest.fixture
def large(picture: Callable[..., Path]) -> Path:
    """An image that is too large for one request, and not for a direct upload."""
    path = picture("large.png", size=(200, 150))
    assert INLINE_LIMIT < path.stat().st_size < UPLOAD_LIMIT
    return path


@pytest.fixture
def tries_again(screen: Screen, backend: Backend) -> Callable[[str, int], None]:
    """Waits until `name` was asked so many times, and makes the pauses between pass in no time."""

    def wait(name: str, times: int) -> None:
        for _ in range(200):
            if len(backend.requests[name]) >= times:
                return
            screen.page.clock.run_for(500)
            screen.page.wait_for_timeout(10)
        pytest.fail(f"{name} was asked {len(backend.requests[name])} times, not {times}")

    screen.page.clock.install()
    return wait


def analyze(screen: Screen, path: Path) -> None:
    screen.choose(path)
    screen.analyze.click()


def wait_for_request(screen: Screen, backend: Backend, name: str, left: int = 0) -> None:
    """Until it is asked for what it does not answer."""
    for _ in range(500):
        if len(backend.next[name]) == left and backend.asked[-1:] == [name]:
            return
        screen.page.wait_for_timeout(10)
    pytest.fail(f"{name} was not asked")


def test_a_large_image_is_announced_uploaded_and_measured_by_its_ticket_and_then_known(
    screen: Screen, backend: Backend, large: Path
) -> None:
    screen.page.evaluate(
        """() => {
            const stage = document.getElementById("stage");
            window.stages = [];
            new MutationObserver(() => stages.push(stage.textContent)).observe(stage, { childList: true });
        }"""
    )
    screen.measure(large)
    assert [stage for stage in screen.page.evaluate("stages") if stage] == ["Reading…", "Uploading…", "Measuring…"]
    assert backend.asked == ["uploads", "storage", "intensity"]
    content = large.read_bytes()
    announced = {"filename": "large.png", "size": len(content), "content_type": "image/png"}
    assert backend.heard("uploads") == [{**announced, "sha256": hashlib.sha256(content).hexdigest()}]
    assert backend.heard("intensity") == [{"ticket": "ticket-1"}]

    # The signed fields come first, and the file last.
    form = (backend.requests["storage"][0].post_data_buffer or b"").decode()
    assert re.findall(r' name="([^"]+)"', form) == [*FIELDS, "file"]
    for name, value in FIELDS.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n' in form

    # The result looks as that of a small image.
    assert screen.exact == MEASUREMENT["average_intensity"]
    expect(screen.field("rounded")).to_have_text("12.35")
    expect(screen.field("filename")).to_have_text("large.png")
    expect(screen.field("bytes")).to_have_text("90,123 bytes")
    expect(screen.field("cache")).to_have_text("measured now")
    expect(screen.field("request")).to_have_text("measured-1")

    backend.known = True
    screen.analyze.click()
    expect(screen.field("cache")).to_have_text("already measured before: answered from the cache")
    assert backend.asked == [*ALL, "uploads", "intensity"]


def test_of_the_limits_themselves_an_image_goes_inline_or_to_the_storage_and_above_both_nowhere(
    screen: Screen, backend: Backend, tmp_path: Path
) -> None:
    """What goes inline loads nothing for hashing. What is declared is the type of the content, and not of the name."""
    loaded: list[str] = []
    screen.page.on("request", lambda request: loaded.append(urlsplit(request.url).path))

    def of_size(size: int) -> Path:
        path = tmp_path / f"{size}.jpg"
        path.write_bytes(b"\x89PNG\r\n\x1a\n".ljust(size, b"\0"))
        return path

    screen.measure(of_size(INLINE_LIMIT))
    assert backend.asked == ["intensity"]
    assert "multipart/form-data" in backend.requests["intensity"][0].headers["content-type"]
    assert not [path for path in loaded if "vendor" in path]
    screen.measure(of_size(UPLOAD_LIMIT))
    assert backend.asked == ["intensity", *ALL]
    assert backend.heard("uploads")[0]["content_type"] == "image/png"
    screen.file.set_input_files(of_size(UPLOAD_LIMIT + 1))
    expect(screen.alert).to_contain_text("too large")
    expect(screen.alert).to_contain_text(f"the limit is {UPLOAD_LIMIT:,}")
    assert backend.asked == ["intensity", *ALL]


def test_without_direct_uploads_the_inline_ceiling_is_the_limit_and_without_health_there_is_none(
    screen: Screen, backend: Backend, large: Path
) -> None:
    for limits in ({"max_upload_bytes": 0}, {}):
        answer = {"limits": {"max_content_length": INLINE_LIMIT, **limits}}
        screen.page.route("**/health", partial(Route.fulfill, json=answer))
        screen.open_and_wait_for_limits()
        screen.file.set_input_files(large)
        expect(screen.alert).to_contain_text(f"the limit is {INLINE_LIMIT:,}")
        assert backend.asked == []
    screen.page.route("**/health", lambda route: route.abort())
    screen.open_and_wait_for_limits()
    screen.measure(large)
    assert backend.asked == ["intensity"]
    screen.page.unroute("**/health")
    failures = iter([True])
    screen.page.route(
        "**/health", lambda route: lost(route) if next(failures, False) else route.fulfill(json={"limits": LIMITS})
    )
    screen.open_and_wait_for_limits()
    screen.measure(large)  # with which the limits are asked for again
    assert backend.asked == ["intensity", *ALL]


def test_cancel_and_another_file_end_what_is_under_way(
    screen: Screen, backend: Backend, large: Path, picture: Callable[..., Path]
) -> None:
    """Cancel leaves the file chosen. In either case, no result is ever shown."""
    for name in ALL:
        backend.then(name, held)
        analyze(screen, large)
        wait_for_request(screen, backend, name)
        with screen.page.expect_event("requestfailed"):
            screen.cancel.click()
        expect(screen.progress).to_be_hidden()
        expect(screen.page.get_by_text("Not analyzed yet. Press Analyze.")).to_be_visible()
        expect(screen.picker).to_have_text("large.png")
        expect(screen.preview).to_be_visible()
        expect(screen.analyze).to_be_focused()
        expect(screen.alert).to_be_hidden()
        backend.then(name, held)
        screen.analyze.click()
        wait_for_request(screen, backend, name)
        asked = list(backend.asked)
        with screen.page.expect_event("requestfailed"):
            screen.choose(picture("second.png"))
        screen.page.wait_for_timeout(100)
        assert backend.asked == asked
        expect(screen.progress).to_be_hidden()
        expect(screen.result).to_be_hidden()
    screen.measure(large)


def test_cancel_works_by_keyboard_and_who_is_on_it_when_the_result_comes_goes_on_at_analyze(
    screen: Screen, backend: Backend, large: Path
) -> None:
    backend.then("storage", held)
    screen.choose(large)
    screen.analyze.focus()
    screen.page.keyboard.press("Enter")
    expect(screen.cancel).to_be_visible()
    for _ in range(3):  # over Clear and Options
        screen.page.keyboard.press("Tab")
    expect(screen.cancel).to_be_focused()
    screen.page.keyboard.press("Enter")
    expect(screen.progress).to_be_hidden()
    expect(screen.analyze).to_be_focused()

    routes: list[Route] = []
    backend.then("intensity", routes.append)
    screen.analyze.click()
    expect(screen.cancel).to_be_visible()
    screen.cancel.focus()
    expect(screen.cancel).to_be_focused()
    wait_for_request(screen, backend, "intensity")
    routes[0].fulfill(json=MEASUREMENT)
    expect(screen.result).to_be_visible()
    expect(screen.analyze).to_be_focused()

    # And cancelled once more, the last result of the same file is back.
    backend.then("uploads", held)
    screen.analyze.click()
    screen.cancel.click()
    expect(screen.progress).to_be_hidden()
    expect(screen.result).to_be_visible()
    expect(screen.field("filename")).to_have_text("large.png")


def test_clear_while_the_file_is_read_sends_nothing(screen: Screen, backend: Backend, large: Path) -> None:
    screen.page.evaluate(
        """() => {
            const read = Blob.prototype.arrayBuffer;
            Blob.prototype.arrayBuffer = async function () {
                window.hashing = this.size > 8; // and not its first bytes, which tell its format
                if (window.hashing) await new Promise((resolve) => setTimeout(resolve, 500));
                return read.call(this);
            };
        }"""
    )
    analyze(screen, large)
    screen.page.wait_for_function("() => window.hashing")
    screen.clear.click()
    screen.page.wait_for_timeout(800)
    expect(screen.progress).to_be_hidden()
    expect(screen.analyze).to_be_disabled()
    assert backend.asked == []


@pytest.mark.parametrize("name", ["storage", "intensity"])
def test_after_a_lost_connection_it_is_tried_again_by_itself(
    screen: Screen, backend: Backend, large: Path, name: str, tries_again: Callable[[str, int], None]
) -> None:
    backend.then(name, lost, lost, lost, lost)
    backend.is_away = True
    analyze(screen, large)
    expect(screen.stage).to_have_text("Connection lost. Trying again…")
    tries_again(name, 5)
    expect(screen.result).to_be_visible()
    expect(screen.alert).to_be_hidden()
    # Only what was lost is done again.
    assert {other: len(requests) for other, requests in backend.requests.items()} == {
        "uploads": 1,
        "storage": 1,
        "intensity": 1,
        name: 5,
    }


def test_it_waits_longer_each_time_and_gives_up_after_the_fourth(screen: Screen, backend: Backend, large: Path) -> None:
    screen.page.clock.install()
    backend.then("storage", *[lost] * 5)
    backend.is_away = True
    analyze(screen, large)
    status = screen.stage
    for tries, pause in enumerate([1_000, 2_000, 4_000, 8_000], start=1):
        expect(status).to_have_text("Connection lost. Trying again…")
        screen.page.wait_for_timeout(100)
        screen.page.clock.run_for(pause - 900)  # the clock also goes by itself
        assert len(backend.requests["storage"]) == tries
        screen.page.clock.run_for(1_000)
        screen.page.wait_for_timeout(100)
    expect(screen.alert).to_contain_text("cannot be reached")
    assert len(backend.requests["storage"]) == 5
    expect(screen.analyze).to_be_enabled()


def test_a_storage_that_cannot_be_reached_although_the_service_can_is_said_to_be_that(
    screen: Screen, backend: Backend, large: Path
) -> None:
    backend.then("storage", lost, lost)
    analyze(screen, large)
    expect(screen.alert).to_contain_text("go to a storage at localhost:")
    expect(screen.alert).to_contain_text("although the service can")
    assert backend.asked == ["uploads", "storage", "storage"]


def test_a_small_file_that_is_too_much_for_a_request_is_uploaded(
    screen: Screen, backend: Backend, picture: Callable[..., Path]
) -> None:
    path = picture("many-pixels.png", (20, 15))
    assert path.stat().st_size < INLINE_LIMIT
    for number, code in enumerate(["too_many_pixels", "processor_timeout"], start=1):
        backend.then("intensity", problem(413, code, "Too much."))
        screen.measure(path)
        assert backend.asked == ["intensity", *ALL] * number
        expect(screen.alert).to_be_hidden()


def test_offline_it_waits_until_the_browser_is_online(
    screen: Screen, backend: Backend, large: Path, tries_again: Callable[[str, int], None]
) -> None:
    backend.then("storage", lost)
    screen.choose(large)
    screen.page.evaluate("import('./upload.js')")
    screen.page.context.set_offline(offline=True)
    screen.analyze.click()
    expect(screen.stage).to_have_text("Connection lost. Trying again…")
    screen.page.clock.run_for(600_000)
    screen.page.wait_for_timeout(300)
    assert len(backend.requests["storage"]) == 1
    screen.page.context.set_offline(offline=False)
    tries_again("storage", 2)
    expect(screen.result).to_be_visible()


def test_a_silent_storage_is_a_lost_connection(
    screen: Screen, backend: Backend, large: Path, tries_again: Callable[[str, int], None]
) -> None:
    """And so is one that heard nothing for too long."""
    backend.then("storage", held, refused(400, "RequestTimeout", "Your socket connection was not read from."))
    analyze(screen, large)
    wait_for_request(screen, backend, "storage", left=1)
    screen.page.clock.fast_forward(46_000)
    expect(screen.stage).to_have_text("Connection lost. Trying again…")
    tries_again("storage", 3)
    expect(screen.result).to_be_visible()


def test_cancel_works_while_the_connection_is_lost(screen: Screen, backend: Backend, large: Path) -> None:
    screen.page.clock.install()
    backend.then("storage", lost)
    analyze(screen, large)
    expect(screen.stage).to_have_text("Connection lost. Trying again…")
    screen.cancel.click()
    screen.page.clock.run_for(60_000)
    screen.page.wait_for_timeout(300)
    assert len(backend.requests["storage"]) == 1
    expect(screen.analyze).to_be_enabled()
    expect(screen.progress).to_be_hidden()
    expect(screen.alert).to_be_hidden()


def test_when_the_code_for_hashing_cannot_be_loaded_that_is_said_at_once(
    screen: Screen, backend: Backend, large: Path
) -> None:
    screen.page.route("**/sha2.js", lost)
    analyze(screen, large)
    expect(screen.alert).to_contain_text("A part of this page cannot be reached.")
    assert backend.asked == []


def test_before_anything_is_on_its_way_a_large_image_fails_at_once_as_a_small_one_does(
    screen: Screen, backend: Backend, large: Path, tmp_path: Path
) -> None:
    """And a small one is cancelled as a large one is."""
    screen.page.clock.install()  # no time passes: nothing can be tried again
    backend.then("uploads", lost)
    analyze(screen, large)
    expect(screen.alert).to_contain_text("large.png")
    expect(screen.alert).to_contain_text("cannot be reached")
    assert backend.asked == ["uploads"]
    screen.analyze.click()
    expect(screen.result).to_be_visible()
    small = tmp_path / "small.png"
    small.write_bytes(b"\x89PNG\r\n\x1a\n".ljust(100, b"\0"))
    backend.then("intensity", lost, held)
    analyze(screen, small)
    expect(screen.alert).to_contain_text("cannot be reached")
    screen.analyze.click()
    wait_for_request(screen, backend, "intensity")
    screen.page.clock.run_for(300)
    with screen.page.expect_event("requestfailed"):
        screen.cancel.click()
    expect(screen.analyze).to_be_enabled()
    assert backend.asked == ["uploads", *ALL, "intensity", "intensity"]


EXPIRED = [
    ("storage", refused(403, "AccessDenied", "Invalid according to Policy: Policy expired.")),
    ("storage", refused(400, "ExpiredToken", "The provided token has expired.")),
    ("intensity", problem(410, "expired_ticket", "Expired.")),
    ("intensity", problem(409, "upload_missing", "Nothing was uploaded.")),
]


def test_what_has_expired_is_signed_anew_once(screen: Screen, backend: Backend, large: Path) -> None:
    for name, answer in EXPIRED:
        before = len(backend.asked), len(backend.requests["uploads"])
        backend.then(name, answer)
        screen.measure(large)
        assert backend.asked[before[0] :] == [*ALL[: ALL.index(name) + 1], *ALL]
        assert backend.heard("intensity")[-1] == {"ticket": f"ticket-{before[1] + 2}"}
        first, second = backend.heard("uploads")[before[1] :]
        assert first == second


def test_a_record_that_left_the_cache_is_uploaded_for_and_nothing_starts_anew_more_than_once(
    screen: Screen, backend: Backend, large: Path
) -> None:
    def forget(route: Route) -> None:
        backend.known = False
        problem(409, "upload_missing", "It is no longer there.")(route)

    backend.known = True
    backend.then("intensity", forget)
    screen.measure(large)
    assert backend.asked == ["uploads", "intensity", *ALL]
    expect(screen.field("cache")).to_contain_text("measured now")
    backend.asked.clear()
    answer = problem(410, "expired_ticket", "The ticket has expired.")
    backend.then("intensity", answer, answer)
    screen.analyze.click()
    expect(screen.alert).to_contain_text("The ticket has expired.")
    expect(screen.alert).to_contain_text("problem-1")
    assert backend.asked == [*ALL, *ALL]


REFUSALS = [
    (refused(403, "AccessDenied", "Invalid according to Policy: Policy Condition failed"), "HTTP 403, AccessDenied"),
    (refused(403, "SignatureDoesNotMatch"), "did not accept the upload (HTTP 403, SignatureDoesNotMatch)"),
    (refused(503, "SlowDown", "Please reduce your request rate."), "HTTP 503, SlowDown"),
    (refused(400, "BadDigest", "The SHA256 you specified did not match."), "was changed while it was sent"),
    (refused(400, "InvalidRequest", "Value for x-amz-checksum-sha256 header is invalid."), "was changed"),
    (refused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"), "was changed"),
    (refused(500, "</Code><b>not XML"), "did not accept the upload (HTTP 500)"),
]


def test_a_refusal_of_the_storage_is_a_sentence(screen: Screen, backend: Backend, large: Path) -> None:
    screen.choose(large)
    for number, (answer, sentence) in enumerate(REFUSALS, start=1):
        backend.then("storage", answer)
        screen.analyze.click()
        expect(screen.alert).to_contain_text(f"announced-{number}")
        expect(screen.alert).to_contain_text(sentence)
        expect(screen.alert).not_to_contain_text("<")
        expect(screen.progress).to_be_hidden()
    assert backend.asked == ["uploads", "storage"] * len(REFUSALS)


def test_a_problem_is_shown_by_its_detail_and_what_is_no_form_is_explained(
    screen: Screen, backend: Backend, large: Path
) -> None:
    screen.choose(large)
    for name in ("uploads", "intensity"):
        backend.then(name, problem(413, "too_many_pixels", f"Too many pixels, say {name}."))
        screen.analyze.click()
        expect(screen.alert).to_contain_text(f"Too many pixels, say {name}.")
        expect(screen.alert).to_contain_text("problem-1")
    for body in ("null", "<html>Please log in</html>", '{"known": false, "ticket": "t"}', '{"known": true}'):
        backend.then("uploads", partial(Route.fulfill, body=body))
        screen.analyze.click()
        expect(screen.alert).to_contain_text("not an upload form")
        screen.dismiss.click()
    assert backend.asked == ["uploads", *ALL, *["uploads"] * 4]
