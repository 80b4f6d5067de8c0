"""What is the same for everyone: 304 for those who have it, gzip for those who take it; HEAD, headers, hosts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.http.security import DOCS_POLICY, HEADERS, page_policy
from image_intensity import OPTIONS
from tests.gateway.driver import CONTENT_TYPE, assert_problem, form, part

if TYPE_CHECKING:
    from tests.gateway.driver import Gateway, MakeGateway

DOCUMENTS = ["/openapi.json", "/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"]
PLAIN = {"Accept-Encoding": "identity"}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_client_that_has_a_document_gets_a_304(gateway: Gateway, path: str) -> None:
    tag = gateway.get(path, **PLAIN).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response = gateway.get(path, **PLAIN, **{"If-None-Match": known})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
    for other in ("", '"other"', tag.replace('"', '"0')):
        assert gateway.get(path, **PLAIN, **{"If-None-Match": other}).status_code == 200


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_is_compressed_for_a_client_that_takes_gzip(gateway: Gateway, path: str) -> None:
    plain = gateway.get(path, **PLAIN)
    for accepted in ("", "br", "identity"):
        assert "content-encoding" not in gateway.get(path, **{"Accept-Encoding": accepted}).headers
    compressed = gateway.get(path, **{"Accept-Encoding": "br, gzip;q=0.5"})
    assert compressed.headers["content-encoding"] == "gzip"
    # httpx has inflated it.
    assert compressed.content == plain.content
    assert "Accept-Encoding" in compressed.headers["vary"]
    assert compressed.headers["content-type"] == plain.headers["content-type"]


@pytest.mark.parametrize("asked", ["bytes=x-y", "bytes=99999999-", "lines=1-2"])
def test_a_range_that_a_file_does_not_have_is_a_problem_or_the_file(gateway: Gateway, asked: str) -> None:
    response = gateway.get("/docs/swagger-ui.css", **PLAIN, Range=asked)
    if response.status_code != 200:
        assert_problem(response, 400, "malformed_request")


def test_measurements_are_not_compressed(gateway: Gateway) -> None:
    # It would take more CPU than a hit.
    body = form(part())
    headers = {"Content-Type": CONTENT_TYPE, "Accept-Encoding": "gzip"}
    response = gateway.request("POST", "/intensity?detail=full", content=body, headers=headers)
    assert response.status_code == 200
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("path", [*DOCUMENTS, "/health", "/health/ready"])
def test_head_is_answered_as_get_without_the_body(gateway: Gateway, path: str) -> None:
    get, head = gateway.get(path, **PLAIN), gateway.request("HEAD", path, headers=PLAIN)
    assert (head.status_code, head.content) == (get.status_code, b"")
    changing = {"x-request-id", "server-timing"}
    assert {name: value for name, value in head.headers.items() if name not in changing} == {
        name: value for name, value in get.headers.items() if name not in changing
    }
    assert int(head.headers["content-length"]) == len(get.content)
    assert [line["extra_info"]["method"] for line in gateway.log("request")] == ["GET", "HEAD"]


def test_head_finds_no_more_than_get(gateway: Gateway) -> None:
    assert gateway.request("HEAD", "/nothing").status_code == 404
    response = gateway.request("HEAD", "/intensity")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/health", "/docs", "/nothing", "/intensity"])
def test_every_answer_has_the_headers_for_browsers(gateway: Gateway, path: str) -> None:
    assert gateway.get(path).headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
    assert gateway.upload().headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()


def test_the_documentation_loads_nothing_from_elsewhere_and_has_no_script_in_the_page(gateway: Gateway) -> None:
    page = gateway.get("/docs")
    assert page.headers["content-security-policy"] == DOCS_POLICY
    assert "unsafe" not in DOCS_POLICY
    for address in re.findall(r'(?:src|href)="(.*?)"', page.text):
        # Relative, so that it works under the stage of an API. The icon is the page's.
        assert "//" not in address
        assert not address.startswith("/")
        assert address == "favicon.svg" or gateway.get(f"/{address}").status_code == 200
    assert re.findall(r"<script[^>]*>([^<]*)", page.text) == ["", ""]


def test_the_documentation_links_the_formulas_which_are_those_of_the_manual(gateway: Gateway) -> None:
    description = gateway.get("/openapi.json").json()["info"]["description"]
    [link] = re.findall(r"\[the formulas\]\((.*?)\)", description)
    text = gateway.get(f"/{link}")
    assert text.headers["content-type"].startswith("text/plain")
    told = dict(re.findall(r"^  (\w+) +(.*)$", text.text, re.MULTILINE))
    assert list(told) == [value for option in OPTIONS.values() for value in option.values]
    manual = (Path(__file__).parents[2] / "docs/measurement.md").read_text()
    for value, formula in told.items():
        [row] = re.findall(rf"^\| `{value}`[^|]*\| (.*)", manual, re.MULTILINE)
        assert row.replace("`", "").startswith(formula)


def test_the_policy_of_the_page_names_the_storage_if_there_is_one() -> None:
    assert "connect-src 'self';" in page_policy("")
    assert "connect-src 'self' https://bucket.example;" in page_policy("https://bucket.example")


LOOPBACK = ["localhost", "LOCALHOST:5000", "127.0.0.1", "[::1]:80", "a.localhost.", "LOCALHOST.:5000", "127.0.0.1."]
# fmt: off
FOREIGN = [
    "evil.example:5000", "localhost.evil.example", "localhost..", ".", "127.0.0.1.evil.example", "192.168.0.1",
    "0.0.0.0", "[::2]:80", "localhost@evil.example", "[",
]
# fmt: on


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_service_for_this_machine_answers_to_its_names(make_gateway: MakeGateway, host: str) -> None:
    assert make_gateway(allowed_hosts=()).get("/health", Host=host).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a_service_for_this_machine_refuses_other_names(make_gateway: MakeGateway, host: str) -> None:
    gateway = make_gateway(allowed_hosts=())
    for response in (gateway.get("/health", Host=host), gateway.get("/docs", Host=host), gateway.upload(Host=host)):
        problem = assert_problem(response, 403, "forbidden")
        assert "ALLOWED_HOSTS" in problem["detail"]
    assert gateway.processor.images == []
    long = gateway.get("/health", Host="a" * 10_000)
    assert len(assert_problem(long, 403, "forbidden")["detail"]) < 500


def test_a_name_can_be_allowed(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(allowed_hosts=("Intensity.example",))
    assert gateway.get("/health", Host="intensity.example:8443").status_code == 200
    assert gateway.get("/health", Host="localhost").status_code == 200
    assert gateway.get("/health", Host="other.example").status_code == 403
    assert gateway.get("/health", Host="www.intensity.example").status_code == 403


def test_a_service_for_everyone_answers_to_every_name(gateway: Gateway) -> None:
    assert gateway.get("/health", Host="any.example").status_code == 200
