"""Direct uploads in every way of running the service, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.images import fresh, noise
from tests.e2e.test_http import assert_measured, assert_problem
from tests.e2e.uploads import CREDENTIALS, TIMEOUT, announce, form_for, redeem, send, upload

if TYPE_CHECKING:
    from tests.e2e.conftest import Engine


@pytest.fixture
def url(engine: Engine) -> str:
    """The address of a service that takes uploads."""
    limits = httpx.get(f"{engine.url}/health", timeout=TIMEOUT).json()["limits"]
    if engine.name == "given" and not limits["max_upload_bytes"]:
        pytest.skip("this service takes no direct uploads")
    assert limits["max_upload_bytes"] == 100_000_000
    return engine.url


def refused(form: dict[str, Any], content: bytes, status: int, **fields: str) -> None:
    """S3 itself refuses the form, and no file comes to be there."""
    response = send(form, content, fields)
    assert response.status_code == status, response.text


@pytest.mark.parametrize("size", [5_000_000, 90_000_000])
def test_a_large_image_is_measured_from_storage(url: str, engine: Engine, size: int) -> None:
    sample = noise(size, seed=size)
    form = announce(url, sample.content).json()
    if not form["known"]:
        assert send(form, sample.content, Origin="https://page.example").status_code == 204
    answer = assert_measured(redeem(url, form["ticket"]), sample)
    assert answer["filename"] == "Foto ä.png"
    again = redeem(url, form["ticket"])
    assert_measured(again, sample)
    if engine.has_cache:
        assert again.headers["X-Cache"] == "hit"
        known = announce(url, sample.content).json()
        assert (known["known"], known["url"], known["fields"]) == (True, None, None)
        assert redeem(url, known["ticket"]).headers["X-Cache"] == "hit"


def test_it_is_the_same_answer_as_inline(url: str) -> None:
    sample = fresh()
    form = form_for(url, sample.content)
    send(form, sample.content).raise_for_status()
    files = {"image": ("Foto ä.png", sample.content)}
    inline = httpx.post(f"{url}/intensity?detail=full", files=files, headers=CREDENTIALS, timeout=TIMEOUT).json()
    uploaded = redeem(url, form["ticket"], "?detail=full").json()
    own = {"request_id", "duration_ms"}
    assert {k: v for k, v in inline.items() if k not in own} == {k: v for k, v in uploaded.items() if k not in own}


def test_a_page_elsewhere_may_upload(url: str) -> None:
    sample = fresh()
    form = form_for(url, sample.content)
    response = send(form, sample.content, Origin="https://page.example")
    assert response.headers["Access-Control-Allow-Origin"] in {"*", "https://page.example"}


@pytest.mark.parametrize("change", [b"", b"x"], ids=["shorter", "longer"])
def test_a_file_of_another_size_is_refused(url: str, change: bytes) -> None:
    content = fresh().content
    form = form_for(url, content)
    refused(form, content + change if change else content[:-1], 400)
    assert_problem(redeem(url, form["ticket"]), 409, "upload_missing")


def test_a_file_of_another_content_is_refused(url: str) -> None:
    content = fresh().content
    form = form_for(url, content)
    response = send(form, content[::-1])
    if response.status_code == 204:
        # MiniStack does not check; the processor does.
        assert_problem(redeem(url, form["ticket"]), 400, "upload_mismatch")
    else:
        assert response.status_code == 400
        assert_problem(redeem(url, form["ticket"]), 409, "upload_missing")


def test_another_type_is_refused(url: str) -> None:
    content = fresh().content
    form = form_for(url, content)
    refused(form, content, 403, **{"Content-Type": "text/html"})


def test_another_key_is_refused(url: str) -> None:
    content = fresh().content
    form = form_for(url, content)
    refused(form, content, 403, key="uploads/another")
    refused(form, content, 403, key=form["fields"]["key"] + "x")


def test_a_form_may_be_sent_again_with_the_same_file_only(url: str) -> None:
    sample = fresh()
    form = form_for(url, sample.content)
    assert send(form, sample.content).status_code == 204
    assert send(form, sample.content).status_code == 204
    refused(form, sample.content + b"x", 400)
    assert_measured(redeem(url, form["ticket"]), sample)


def test_nothing_uploaded_is_an_error(url: str) -> None:
    form = form_for(url, fresh().content)
    assert_problem(redeem(url, form["ticket"]), 409, "upload_missing")


def test_a_changed_ticket_is_an_error(url: str) -> None:
    ticket = form_for(url, fresh().content)["ticket"]
    assert_problem(redeem(url, f"x{ticket}"), 400, "invalid_ticket")


def test_what_is_uploaded_is_judged_by_its_content(url: str) -> None:
    response = upload(url, b"GIF89a" + fresh().content)
    assert_problem(response, 400, "unsupported_format")
    content = fresh().content
    assert_problem(upload(url, content[:-50]), 400, "corrupt_image")


def test_a_file_over_the_limit_is_refused_before_it_is_sent(url: str) -> None:
    limits = httpx.get(f"{url}/health", timeout=TIMEOUT).json()["limits"]
    most = max(limits["max_upload_bytes"], limits["max_job_bytes"])
    response = announce(url, b"x", size=most + 1)
    assert_problem(response, 413, "file_too_large")
    assert f"{most:,}" in response.json()["detail"]


def test_a_file_over_the_inline_limit_is_told_the_way(url: str) -> None:
    limit = httpx.get(f"{url}/health", timeout=TIMEOUT).json()["limits"]["max_content_length"]
    response = httpx.post(
        f"{url}/intensity", files={"image": ("x.png", bytes(limit + 1))}, headers=CREDENTIALS, timeout=TIMEOUT
    )
    assert_problem(response, 413, "file_too_large")
    assert "POST /uploads" in response.json()["detail"]
