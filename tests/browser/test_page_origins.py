"""The page under a strict Content-Security-Policy, and with its API at another origin."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser.screen import Screen

TESTS = Path(__file__).parents[1]
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
COLLECT_VIOLATIONS = """window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));"""


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is http.server's)
        pass


@contextmanager
def files_at_another_origin(folder: Path) -> Iterator[str]:
    """Serve a folder on a port of its own; yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def cors_page() -> Iterator[str]:
    """The address of `test_cors.html` at another origin than the API's."""
    with files_at_another_origin(TESTS) as address:
        yield f"{address}/test_cors.html"


@pytest.fixture
def page_for(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serves a copy of the page with its one setting, the address of the API, filled in; answers the page's address."""
    setting = '<meta name="api-base" content="{}">'
    site = tmp_path / "site"
    shutil.copytree(TESTS.parent / "static_site", site)
    index = site / "index.html"
    original = index.read_text()
    assert setting.format("") in original

    with files_at_another_origin(site) as address:

        def fill_in(api: str, policy: str = "") -> str:
            content = original.replace(setting.format(""), setting.format(api))
            if policy:
                policy = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            index.write_text(content.replace("<head>", f"<head>{policy}"))
            return address

        yield fill_in


def test_a_strict_content_security_policy_breaks_nothing(screen: Screen, photo: Path) -> None:
    def add_policy(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": POLICY})

    screen.page.route(lambda url: url.endswith("/"), add_policy)
    screen.page.add_init_script(COLLECT_VIOLATIONS)
    screen.open()
    screen.measure(photo)
    expect(screen.preview).to_have_js_property("naturalWidth", 120)
    assert screen.page.evaluate("violations") == []
    # The policy is really in force: what it forbids is reported.
    screen.page.evaluate("document.body.setAttribute('style', 'color: red')")
    screen.page.wait_for_function("violations.length > 0")
    assert screen.page.evaluate("violations") == ["style-src-attr"]
    screen.errors.clear()


def test_for_large_images_the_policy_has_to_name_the_storage_and_no_more(
    screen: Screen, service: str, page_for: Callable[..., str], picture: Callable[..., Path]
) -> None:
    announcement = {"filename": "a", "size": 1, "content_type": "image/png", "sha256": "0" * 64}
    form = screen.page.request.post(f"{service}/uploads", data=announcement).json()
    storage = "http://" + urlsplit(form["url"]).netloc
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
        f" connect-src 'self' {service} {storage}; base-uri 'none'; form-action 'self'"
    )
    screen.page.add_init_script(COLLECT_VIOLATIONS)
    screen.open_and_wait_for_limits(page_for(service, policy))
    with screen.page.expect_request_finished(lambda request: request.url == form["url"]):
        screen.measure(picture("large.png", size=(1300, 1300)))
    assert screen.page.evaluate("violations") == []


def test_the_api_may_be_at_another_origin(
    screen: Screen, server: str, page_for: Callable[..., str], photo: Path
) -> None:
    screen.open(page_for(server))
    screen.measure(photo)
    assert screen.uploads[0].url == f"{server}/intensity?detail=full"
    # Headers that the browser shows to another origin only if they are exposed.
    expect(screen.field("cache")).to_contain_text("measured now")
    expect(screen.page.get_by_role("link", name="API documentation")).to_have_attribute("href", f"{server}/docs")


def test_the_api_may_be_under_a_path(screen: Screen, page_for: Callable[..., str], photo: Path) -> None:
    allowed = {"access-control-allow-origin": "*", "access-control-expose-headers": "X-Request-ID"}
    problem = '{"title": "Reached", "status": 500}'
    screen.page.route(
        "https://api.example.test/**", lambda route: route.fulfill(status=500, headers=allowed, body=problem)
    )
    for base in ("https://api.example.test/prod", "https://api.example.test/prod/"):
        screen.open(page_for(base))
        screen.choose(photo)
        screen.analyze.click()
        expect(screen.alert).to_contain_text("Reached")
        assert screen.uploads[-1].url == "https://api.example.test/prod/intensity?detail=full"
        expect(screen.page.get_by_role("link", name="openapi.json")).to_have_attribute(
            "href", "https://api.example.test/prod/openapi.json"
        )


def test_a_page_of_another_origin_can_read_answers_and_errors_and_says_failed_when_it_cannot(
    context: BrowserContext, server: str, cors_page: str
) -> None:
    page = context.new_page()
    table = page.locator("tbody")

    def run(api: str, result: str) -> None:
        page.goto(f"{cors_page}?api={api}")
        page.get_by_role("button", name="Run").click()
        page.wait_for_function("document.body.dataset.result")
        assert page.evaluate("document.body.dataset.result") == result, table.inner_text()

    def hide_headers(route: Route) -> None:
        answer = route.fetch()
        headers = {name: value for name, value in answer.headers.items() if name != "access-control-expose-headers"}
        route.fulfill(response=answer, headers=headers)

    run(server, "passed")
    expect(table.locator("tr")).to_have_count(3)
    run(f"http://127.0.0.1:{free_port()}", "failed")
    page.route(f"{server}/**", hide_headers)
    run(server, "failed")
    expect(table).to_contain_text("X-Request-ID is not readable")
