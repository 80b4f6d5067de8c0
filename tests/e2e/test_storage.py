"""What S3 itself refuses: the real server with a storage that checks checksums, dates and origins as AWS does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.measuring import direct_uploads
from gateway.measuring.direct_uploads import DirectUploads, Ticket, UploadRequest, make_s3_client
from tests.e2e.images import fresh
from tests.e2e.localstack import BUCKET, ORIGIN, running_localstack, s3_client, settings
from tests.e2e.test_http import assert_measured, assert_problem
from tests.e2e.uploads import form_for, redeem, send, upload
from tests.server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the storage."""
    with running_localstack(tmp_path_factory.mktemp("localstack")) as address:
        yield address


@pytest.fixture(scope="module")
def url(storage: str) -> Iterator[str]:
    """The address of a server that uses it."""
    with running_server(**settings(storage)) as server:
        yield server.address


def keys(storage: str) -> set[str]:
    return {each["Key"] for each in s3_client(storage).list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def refused(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert f"<Code>{code}</Code>" in response.text


def test_what_was_announced_is_stored_with_its_checksum_and_measured(url: str, storage: str) -> None:
    sample = fresh()
    form = form_for(url, sample.content)
    assert send(form, sample.content).status_code == 204
    key = form["fields"]["key"]
    stored = s3_client(storage).get_object_attributes(
        Bucket=BUCKET, Key=key, ObjectAttributes=["Checksum", "ObjectSize"]
    )
    assert stored["Checksum"]["ChecksumSHA256"] == form["fields"]["x-amz-checksum-sha256"]
    assert stored["ObjectSize"] == len(sample.content)
    assert_measured(redeem(url, form["ticket"]), sample)


def test_other_content_other_sizes_types_and_keys_are_refused_and_leave_nothing(url: str, storage: str) -> None:
    content = fresh().content
    form = form_for(url, content)
    before = keys(storage)
    refused(send(form, content[::-1]), 400, "InvalidRequest")
    refused(send(form, content + b"x"), 400, "EntityTooLarge")
    refused(send(form, content[:-1]), 400, "EntityTooSmall")
    refused(send(form, content, {"Content-Type": "text/html"}), 403, "AccessDenied")
    refused(send(form, content, {"key": "uploads/another"}), 403, "AccessDenied")
    refused(send(form, content, {"x-amz-checksum-sha256": "A" * 43 + "="}), 403, "AccessDenied")
    assert keys(storage) == before
    assert_problem(redeem(url, form["ticket"]), 409, "upload_missing")


def test_a_form_without_its_checksum_is_refused(url: str) -> None:
    content = fresh().content
    form = form_for(url, content)
    del form["fields"]["x-amz-checksum-sha256"]
    refused(send(form, content), 403, "AccessDenied")


def test_an_expired_form_is_refused(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings(storage).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(direct_uploads, "LEAST_SECONDS", 1)
    content = fresh().content
    uploads = DirectUploads(make_s3_client, BUCKET, "secret")
    described = UploadRequest(filename="x", size=len(content), content_type="image/png", sha256="0" * 64)
    form = uploads.form(Ticket.of(described), "image/png")
    time.sleep(2)
    refused(send(form, content), 403, "AccessDenied")


def test_an_object_that_was_deleted_before_measuring_is_missing(url: str, storage: str) -> None:
    content = fresh().content
    form = form_for(url, content)
    send(form, content).raise_for_status()
    s3_client(storage).delete_object(Bucket=BUCKET, Key=form["fields"]["key"])
    assert_problem(redeem(url, form["ticket"]), 409, "upload_missing")


def test_an_object_that_was_replaced_before_measuring_is_a_mismatch(url: str, storage: str) -> None:
    content = fresh().content
    form = form_for(url, content)
    send(form, content).raise_for_status()
    s3_client(storage).put_object(Bucket=BUCKET, Key=form["fields"]["key"], Body=content[::-1])
    assert_problem(redeem(url, form["ticket"]), 400, "upload_mismatch")


def test_what_is_known_is_measured_without_an_upload(url: str, storage: str) -> None:
    sample = fresh()
    upload(url, sample.content)
    before = keys(storage)
    answer = upload(url, sample.content)
    assert_measured(answer, sample)
    assert answer.headers["X-Cache"] == "hit"
    assert keys(storage) == before


def test_only_pages_of_the_named_origins_may_upload(url: str) -> None:
    form = form_for(url, fresh().content)
    for origin, status in ((ORIGIN, 200), ("https://elsewhere.example", 403)):
        asking = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        response = httpx.options(form["url"], headers=asking)
        assert response.status_code == status
        assert response.headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)
