"""The page and the documentation as `make run` serves them, and which names it answers to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.local.test_access import client

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


@pytest.mark.parametrize(
    "path", ["/index.html/", "/../pyproject.toml", "/%2e%2e/pyproject.toml", "/static_site/app.js"]
)
def test_nothing_else_of_the_disk_is_served(server: str, path: str) -> None:
    response = httpx.get(f"{server}{path}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


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


@pytest.mark.parametrize(
    ("settings", "name", "allowed"),
    [
        ({}, "localhost", True),
        ({}, "evil.example", False),
        ({"HOST": "127.0.0.2"}, "evil.example", False),
        ({"ALLOWED_HOSTS": "intensity.example"}, "intensity.example", True),
        ({"ALLOWED_HOSTS": "intensity.example"}, "other.example", False),
        ({"HOST": "0.0.0.0"}, "any.example", True),
    ],
)
def test_it_answers_to_names_that_are_its_own(settings: dict[str, str], name: str, *, allowed: bool) -> None:
    response = client(**settings)("GET", "/health", headers={"Host": f"{name}:5000"})
    assert response.status_code == (200 if allowed else 403)
