"""What was listed is what is read: another content, another version or no answer is a problem, never another image."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from intensity.sources import fetch
from intensity.sources.errors import HEAD_BYTES, ReadProblem, SourceError
from intensity.sources.objects import S3Object
from tests.sources.conftest import client, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client

MOST = 1_000
LISTED = S3Object("photos", "a.png", None, "e" * 32, 4)


def content(s3: Any, listed: S3Object, most: int) -> bytes:  # noqa: ANN401 - as below
    return fetch.content(s3, listed, most, lambda _: True).data


def code(s3: Any, listed: S3Object) -> str:  # noqa: ANN401 - a Stubber's client has no type of its own
    with pytest.raises(ReadProblem) as error:
        content(s3, listed, MOST)
    assert "\n" not in error.value.detail
    return error.value.code


def test_an_object_is_read_as_it_was_listed_with_or_without_etag_size_and_version(s3: S3Client) -> None:
    for bucket in ("photos", "versions"):
        listed = put(s3, "a.png", b"data", bucket)
        assert content(s3, listed, MOST) == b"data"
        assert content(s3, S3Object(bucket, "a.png"), MOST) == b"data"


def test_what_is_no_image_is_not_read_on(s3: S3Client) -> None:
    listed = put(s3, "a.png", b"text" * HEAD_BYTES)
    read = fetch.content(s3, listed, 10 * HEAD_BYTES, lambda head: not head.startswith(b"text"))
    assert (read.data, read.size) == (b"text" * (HEAD_BYTES // 4), 4 * HEAD_BYTES)


def test_an_object_that_was_written_again_is_not_read(s3: S3Client) -> None:
    listed = put(s3, "a.png", b"data")
    put(s3, "a.png", b"DATA")
    assert code(s3, listed) == "object_changed"


def test_an_old_version_is_read_although_there_is_a_new_one(s3: S3Client) -> None:
    old, new = put(s3, "a.png", b"old", "versions"), put(s3, "a.png", b"newer", "versions")
    s3.delete_object(Bucket="versions", Key="a.png")
    assert [content(s3, version, MOST) for version in (old, new)] == [b"old", b"newer"]


def test_an_object_that_is_gone_is_missing(s3: S3Client) -> None:
    listed, version = put(s3, "a.png", b"data"), put(s3, "a.png", b"data", "versions")
    s3.delete_object(Bucket="photos", Key="a.png")
    marker = s3.delete_object(Bucket="versions", Key="a.png")["VersionId"]
    s3.delete_object(Bucket="versions", Key="a.png", VersionId=str(version.version))
    gone = [listed, version, version._replace(version=marker), version._replace(version=None), S3Object("nowhere", "a")]
    assert [code(s3, each) for each in gone] == ["object_missing"] * 5


def test_an_archived_object_is_archived_until_it_is_restored(s3: S3Client) -> None:
    listed = put(s3, "a.png", b"data", StorageClass="GLACIER")
    assert code(s3, listed) == "object_archived"
    s3.restore_object(Bucket="photos", Key="a.png", RestoreRequest={"Days": 1})
    assert content(s3, listed, MOST) == b"data"


@pytest.mark.parametrize("encoding", ["gzip", "identity, GZIP", "br"])
def test_an_object_that_is_compressed_is_refused_and_its_header_named(s3: S3Client, encoding: str) -> None:
    listed = put(s3, "a.png", b"data", ContentEncoding=encoding)
    with pytest.raises(ReadProblem, match=f"Content-Encoding: {encoding}") as error:
        content(s3, listed, MOST)
    assert error.value.code == "unsupported_encoding"


@pytest.mark.parametrize("encoding", ["aws-chunked", "identity", "Identity, aws-chunked"])
def test_an_object_whose_encoding_says_nothing_is_read(s3: S3Client, encoding: str) -> None:
    assert content(s3, put(s3, "a.png", b"data", ContentEncoding=encoding), MOST) == b"data"


@pytest.mark.parametrize("known", [True, False])
def test_an_object_that_is_too_large_is_not_read_even_if_its_size_was_not_listed(s3: S3Client, *, known: bool) -> None:
    listed = put(s3, "a.png", b"x" * (MOST + 1))
    assert code(s3, listed if known else S3Object("photos", "a.png")) == "file_too_large"
    assert len(content(s3, listed, MOST + 1)) == MOST + 1


# Answers that no S3 in memory gives


@pytest.fixture
def stub() -> Iterator[Stubber]:
    """What answers instead of S3, in the order in which answers are added."""
    with Stubber(client()) as stubber:
        yield stubber


def answer(data: bytes, length: int | None = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - of an answer
    length = len(data) if length is None else length
    body = StreamingBody(io.BytesIO(data), length)
    return {"Body": body, "ContentLength": length, "ETag": f'"{LISTED.etag}"', **fields}


@pytest.mark.parametrize(
    ("fields", "listed"),
    [
        ({"ETag": '"other"'}, LISTED),
        ({}, LISTED._replace(size=5)),
        ({"VersionId": "v2"}, LISTED._replace(version="v1")),
    ],
)
def test_a_store_that_passes_over_conditions_does_not_get_another_object_measured(
    stub: Stubber, fields: dict[str, Any], listed: S3Object
) -> None:
    stub.add_response("get_object", answer(b"data", **fields))
    assert code(stub.client, listed) == "object_changed"


def test_an_object_of_unknown_length_is_not_measured_because_a_missing_end_would_not_be_noticed(stub: Stubber) -> None:
    unknown = answer(b"data")
    del unknown["ContentLength"]
    stub.add_response("get_object", unknown)
    assert code(stub.client, LISTED) == "processor_failed"


@pytest.mark.parametrize(
    ("told", "status", "expected"),
    [
        ("AccessDenied", 403, "object_forbidden"),
        ("403", 403, "object_forbidden"),
        ("KMS.DisabledException", 400, "object_forbidden"),
        ("InvalidRequest", 400, "object_forbidden"),
        ("NoSuchVersion", 404, "object_missing"),
        ("InvalidArgument", 400, "processor_failed"),
        ("SlowDown", 503, "processor_failed"),
        ("SignatureDoesNotMatch", 403, "processor_failed"),
        ("InternalError", 500, "processor_failed"),
    ],
)
def test_an_answer_of_s3_is_the_code_of_its_row(stub: Stubber, told: str, status: int, expected: str) -> None:
    stub.add_client_error("get_object", told, "More\nof it.", status)
    assert code(stub.client, LISTED) == expected


def test_a_version_that_s3_cannot_have_given_is_missing(stub: Stubber) -> None:
    stub.add_client_error("get_object", "InvalidArgument", "Invalid version id specified", 400)
    assert code(stub.client, LISTED._replace(version="v1")) == "object_missing"


@pytest.mark.parametrize("told", ["ExpiredToken", "InvalidAccessKeyId", "RequestTimeTooSkewed"])
def test_credentials_that_are_good_for_no_object_end_the_run_instead_of_costing_each_its_row(
    stub: Stubber, told: str
) -> None:
    stub.add_client_error("get_object", told, "No.", 400)
    with pytest.raises(SourceError, match=f"S3 refuses the credentials: {told}: No."):
        content(cast("S3Client", stub.client), LISTED, MOST)


def test_without_credentials_the_run_ends(monkeypatch: pytest.MonkeyPatch, s3: S3Client) -> None:
    def nobody(**_: object) -> None:
        raise NoCredentialsError

    monkeypatch.setattr(s3, "get_object", nobody)
    with pytest.raises(SourceError, match="Unable to locate credentials"):
        content(s3, LISTED, MOST)


def test_a_body_that_breaks_off_is_read_again_and_never_measured_short(stub: Stubber) -> None:
    stub.add_response("get_object", answer(b"da", length=4))
    stub.add_response("get_object", answer(b"data"))
    assert content(cast("S3Client", stub.client), LISTED, MOST) == b"data"
    for _ in range(3):
        stub.add_response("get_object", answer(b"da", length=4))
    assert code(stub.client, LISTED) == "processor_failed"


def test_a_store_that_cannot_be_reached_costs_a_row(monkeypatch: pytest.MonkeyPatch, s3: S3Client) -> None:
    def nowhere(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://s3.example")

    monkeypatch.setattr(s3, "get_object", nowhere)
    assert code(s3, LISTED) == "processor_failed"
