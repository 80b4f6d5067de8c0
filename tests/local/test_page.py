"""The page and the documentation as `make run` serves them, and which names it answers to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from tests.server import running_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

PAGE = Path(__file__).parents[2] / "static_site"
ANNOUNCEMENT = {"filename": "a.png", "size": 1, "content_type": "image/png", "sha256": "0" * 64}
PATHS = ["/", "/app.js", "/style.css", "/favicon.svg", "/docs", "/openapi.json"]


@pytest.mark.parametrize("path", PATHS)
def test_a_browser_gets_a_file_once_and_compressed(server: str, path: str) -> None:
    first = httpx.get(server + path)
    assert (first.status_code, first.headers["content-encoding"]) == (200, "gzip")
    assert first.num_bytes_downloaded < len(first.content)
    again = httpx.get(server + path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = httpx.head(server + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == first.headers["etag"]


def connect_sources(address: str) -> list[str]:
    policy = httpx.get(address).headers["content-security-policy"]
    [sources] = re.findall(r"connect-src ([^;]*)", policy)
    return str(sources).split()


def test_the_page_may_connect_to_its_own_server_only(server: str) -> None:
    assert connect_sources(server) == ["'self'"]
    form = httpx.post(f"{server}/uploads", json=ANNOUNCEMENT).json()["url"]
    assert form == f"{server}/uploads/file"


def test_a_bucket_on_aws_is_named_by_its_own_host(serve: Callable[..., AbstractContextManager[str]]) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "eu-central-1"}
    with serve(UPLOAD_BUCKET="bucket", **keys) as address:
        assert connect_sources(address) == ["'self'", "https://bucket.s3.eu-central-1.amazonaws.com"]


def test_the_page_works_without_the_keys_that_uploads_need(serve: Callable[..., AbstractContextManager[str]]) -> None:
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_DEFAULT_REGION": "", "AWS_REGION": ""}
    files = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    with serve(UPLOAD_BUCKET="bucket", AWS_EC2_METADATA_DISABLED="true", **nothing, **files) as address:
        assert connect_sources(address) == ["'self'"]


def test_on_the_loopback_interface_it_answers_to_no_other_name() -> None:
    with running_server() as server:
        port = urlsplit(server.address).port
        evil = httpx.get(f"{server.address}/health", headers={"Host": f"evil.example:{port}"})
        assert (evil.status_code, evil.json()["code"]) == (403, "forbidden")
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200


def test_behind_a_proxy_its_name_can_be_allowed(serve: Callable[..., AbstractContextManager[str]]) -> None:
    with serve(ALLOWED_HOSTS="intensity.example") as address:
        assert httpx.get(f"{address}/health", headers={"Host": "intensity.example"}).status_code == 200
        assert httpx.get(f"{address}/health", headers={"Host": "other.example"}).status_code == 403


def test_on_all_interfaces_it_answers_to_every_name(serve: Callable[..., AbstractContextManager[str]]) -> None:
    with serve(HOST="0.0.0.0") as address:
        assert httpx.get(f"{address}/health", headers={"Host": "any.example"}).status_code == 200
