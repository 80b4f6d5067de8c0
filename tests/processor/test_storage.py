"""Uploaded images, read by the real S3 client from moto's S3."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from PIL import Image

from contract.invocation import Invocation, StoredImage
from processor.handler import lambda_handler
from processor.storage import PIECE_BYTES, client, content
from tests.core.samples import encoded, measured

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = encoded(Image.linear_gradient("L").convert("RGB"), "PNG")
STORED = StoredImage(bucket="bucket", key="uploads/1", size=len(IMAGE), sha256=hashlib.sha256(IMAGE).hexdigest())


@pytest.fixture(autouse=True)
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket with the image in it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        bucket = boto3.client("s3")
        bucket.create_bucket(Bucket="bucket")
        bucket.put_object(Bucket="bucket", Key="uploads/1", Body=IMAGE)
        client.cache_clear()
        yield bucket
    client.cache_clear()


def answer(stored: StoredImage) -> dict[str, Any]:
    event = Invocation(image=stored, allowed_formats=("PNG", "JPEG"), max_pixels=10**6).to_event()
    return lambda_handler(event, None)


def code(stored: StoredImage) -> str:
    return str(answer(stored)["problem"]["code"])


def test_an_uploaded_image_measures_like_the_same_file_in_the_invocation() -> None:
    measurement = answer(STORED)["measurement"]
    assert measurement["average_intensity"] == measured(IMAGE).average_intensity
    assert measurement["image_size_bytes"] == len(IMAGE)


@pytest.mark.parametrize(("encoding", "refused"), [("gzip", True), ("aws-chunked", False), ("gzip,aws-chunked", True)])
def test_an_object_that_is_stored_compressed_is_told_so(s3: Any, encoding: str, *, refused: bool) -> None:  # noqa: ANN401
    s3.put_object(Bucket="bucket", Key="uploads/1", Body=IMAGE, ContentEncoding=encoding)
    if refused:
        assert code(STORED) == "unsupported_encoding"
        assert "Content-Encoding: gzip" in answer(STORED)["problem"]["detail"]
    else:
        assert "measurement" in answer(STORED)


def test_more_than_one_piece_is_read_whole(s3: Any) -> None:  # noqa: ANN401 - boto3's
    data = bytes(range(256)) * (PIECE_BYTES // 100)
    s3.put_object(Bucket="bucket", Key="uploads/2", Body=data)
    stored = replace(STORED, key="uploads/2", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    assert content(stored) == data


def test_nothing_there_is_missing() -> None:
    assert code(replace(STORED, key="uploads/2")) == "upload_missing"


@pytest.mark.parametrize(
    "announced", [{"size": len(IMAGE) - 1}, {"size": len(IMAGE) + 1}, {"sha256": "0" * 64}], ids=str
)
def test_another_file_than_announced_is_a_mismatch(announced: dict[str, Any]) -> None:
    assert code(replace(STORED, **announced)) == "upload_mismatch"


def test_a_mistake_of_ours_is_not_the_uploads_fault() -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        answer(replace(STORED, bucket="nobodys"))
