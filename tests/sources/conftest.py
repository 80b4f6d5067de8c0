"""S3 in memory, for tests of single functions. The command is tested on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import boto3
import pytest
from moto import mock_aws

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


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """A client, and the empty buckets `photos` and, with versions, `versions`."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        for bucket in ("photos", "versions"):
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        yield client
