"""S3 in memory, for tests of single functions. The command is tested on a real server."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from moto import mock_aws

from intensity.sources.objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client

REGION: Final = "eu-central-1"
# Keys that some program on the way could take for something else.
STRANGE = [
    "a b+c.png",
    "ä/ü.png",
    "x%20y.png",
    "=1+1.png",
    "line\nfeed.png",
    "a/../up.png",
    "a?versionId=.png",
    "'\",.png",
]


@cache
def client() -> S3Client:
    """One for all tests: making it takes longer than most of them. The address is told, or the environment would."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("s3", REGION, endpoint_url=f"https://s3.{REGION}.amazonaws.com", **keys)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def s3() -> Iterator[S3Client]:
    """A client, and the empty buckets `photos`, `results` and, with versions, `versions`."""
    with mock_aws():
        for bucket in ("photos", "results", "versions"):
            client().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        client().put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        yield client()


def put(s3: S3Client, key: str, data: bytes = b"data", bucket: str = "photos", **settings: Any) -> S3Object:  # noqa: ANN401 - put_object's
    """Write an object; it, as a listing has it."""
    told = s3.put_object(Bucket=bucket, Key=key, Body=data, **settings)
    return S3Object(bucket, key, told.get("VersionId"), told["ETag"].strip('"'), len(data))
