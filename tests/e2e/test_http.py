"""What every way of running the service must do, over HTTP: `make e2e URL=https://...` for one that runs already."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.images import every_kind, fresh, noise
from tests.e2e.uploads import CREDENTIALS
from tests.support import DEFAULT_FIELDS

if TYPE_CHECKING:
    from tests.e2e.conftest import Engine
    from tests.e2e.images import Sample

ORIGIN = {"Origin": "https://page.example"}
KINDS = every_kind()
TIMEOUT = 60


def upload(engine: Engine, content: bytes, name: str = "sample.png", **headers: str) -> httpx.Response:
    return httpx.post(
        f"{engine.url}/intensity", files={"image": (name, content)}, headers={**CREDENTIALS, **headers}, timeout=TIMEOUT
    )


def assert_measured(response: httpx.Response, sample: Sample) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    answer: dict[str, Any] = response.json()
    assert set(answer) == set(DEFAULT_FIELDS)
    assert answer["average_intensity"] == pytest.approx(sample.intensity, rel=1e-12)
    assert tuple(answer["image_size"]) == sample.size
    assert answer["pixel_count"] == sample.size[0] * sample.size[1]
    assert answer["original_mode"] == sample.mode
    assert answer["image_size_bytes"] == len(sample.content)
    assert answer["request_id"] == response.headers["X-Request-ID"]
    return answer


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_is_measured_exactly(engine: Engine, kind: str) -> None:
    answer = assert_measured(upload(engine, KINDS[kind].content, "Bild ä.png"), KINDS[kind])
    assert answer["filename"] == "Bild ä.png"


@pytest.mark.parametrize("size", [1_000, 1_000_000, 4_500_000])
def test_an_image_of_each_size_is_measured(engine: Engine, size: int) -> None:
    sample = noise(size)
    response = upload(engine, sample.content, **ORIGIN)
    assert_measured(response, sample)
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_the_second_time_the_answer_comes_from_the_cache_where_there_is_one(engine: Engine) -> None:
    ready = httpx.get(f"{engine.url}/health/ready", timeout=TIMEOUT).json()
    expected = {"ok": ("miss", "hit"), "off": ("bypass", "bypass")}[ready["cache"]]
    if engine.has_cache:
        assert ready["cache"] == "ok"
    end, outcomes = time.monotonic() + TIMEOUT, ("", "")
    # On a busy machine, a good Redis can be too late for an operation, and is left alone for up to 5 s then.
    while outcomes != expected and time.monotonic() < end:
        if any(outcomes):
            time.sleep(6)
        sample = fresh()
        first, second = (upload(engine, sample.content) for _ in range(2))
        assert_measured(first, sample)
        assert_measured(second, sample)
        outcomes = first.headers["X-Cache"], second.headers["X-Cache"]
    assert outcomes == expected


def test_the_callers_request_id_is_kept(engine: Engine) -> None:
    mine = f"test-{uuid.uuid4()}"
    response = upload(engine, KINDS["JPEG"].content, **{"X-Request-ID": mine})
    assert response.headers["X-Request-ID"] == response.json()["request_id"] == mine


def test_what_is_no_image_is_refused(engine: Engine) -> None:
    assert_problem(upload(engine, b"GIF89a" + bytes(100), "picture.png"), 400, "unsupported_format")


@pytest.mark.parametrize("kind", ["gray PNG", "JPEG"])
def test_an_image_cut_short_is_refused(engine: Engine, kind: str) -> None:
    content = KINDS[kind].content
    assert_problem(upload(engine, content[: len(content) * 2 // 3]), 400, "corrupt_image")


def test_an_empty_file_is_refused(engine: Engine) -> None:
    assert_problem(upload(engine, b""), 400, "empty_file")


def test_a_form_without_the_image_is_refused(engine: Engine) -> None:
    boundary = "empty"
    response = httpx.post(
        f"{engine.url}/intensity",
        content=f"--{boundary}--\r\n".encode(),
        headers={**CREDENTIALS, "Content-Type": f"multipart/form-data; boundary={boundary}"},
        timeout=TIMEOUT,
    )
    assert_problem(response, 400, "missing_image")


def test_a_body_that_is_no_form_is_refused(engine: Engine) -> None:
    response = httpx.post(f"{engine.url}/intensity", json={"image": "1"}, headers=CREDENTIALS, timeout=TIMEOUT)
    assert_problem(response, 400, "malformed_request")


def test_a_file_over_the_limit_is_refused_with_the_limit(engine: Engine) -> None:
    limit = httpx.get(f"{engine.url}/health", timeout=TIMEOUT).json()["limits"]["max_content_length"]
    response = upload(engine, bytes(limit + 1), **ORIGIN)
    assert_problem(response, 413, "file_too_large")
    assert f"{limit:,}" in response.json()["detail"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_file_over_the_ceiling_of_lambda_is_refused(engine: Engine) -> None:
    if engine.name in {"sam local", "deployed"}:
        # AWS's API Gateway answers 413 itself; template.yaml sets that.
        pytest.skip(f"{engine.name} has no limit of its own and passes on what the function's emulator then cuts off")
    assert_problem(upload(engine, bytes(6_500_000), **ORIGIN), 413, "file_too_large")


def test_an_unknown_path_is_a_problem(engine: Engine) -> None:
    response = httpx.get(f"{engine.url}/nothing/here", headers=ORIGIN, timeout=TIMEOUT)
    assert_problem(response, 404, "not_found")
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_wrong_method_is_a_problem(engine: Engine) -> None:
    assert_problem(httpx.get(f"{engine.url}/intensity", timeout=TIMEOUT), 405, "method_not_allowed")


def test_a_page_elsewhere_may_ask(engine: Engine) -> None:
    headers = {**ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-request-id"}
    response = httpx.options(f"{engine.url}/intensity", headers=headers, timeout=TIMEOUT)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "x-request-id" in response.headers["Access-Control-Allow-Headers"].lower()


def test_the_root_is_the_page_or_leads_to_it(engine: Engine) -> None:
    response = httpx.get(f"{engine.url}/", timeout=TIMEOUT)
    if engine.name == "sam local":
        # It has no page.
        assert_problem(response, 404, "not_found")
    elif response.is_redirect:
        assert response.headers["Location"].startswith("https://")
    else:
        assert response.status_code == 200
        assert "<title>Image Intensity</title>" in response.text


def test_the_api_describes_itself(engine: Engine) -> None:
    document = httpx.get(f"{engine.url}/openapi.json", timeout=TIMEOUT).json()
    assert "post" in document["paths"]["/intensity"]
    page = httpx.get(f"{engine.url}/docs", timeout=TIMEOUT)
    assert page.headers["Content-Type"].startswith("text/html")


def test_it_is_ready(engine: Engine) -> None:
    response = httpx.get(f"{engine.url}/health/ready", timeout=TIMEOUT)
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "ready"


def test_requests_at_once_all_get_their_own_number(engine: Engine) -> None:
    samples = [fresh() for _ in range(12)]
    with ThreadPoolExecutor(4) as threads:
        for response, sample in zip(threads.map(lambda s: upload(engine, s.content), samples), samples, strict=True):
            assert_measured(response, sample)
