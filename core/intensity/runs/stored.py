"""What is kept in the bucket of results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# botocore tries requests again, but not the reading of an answer that breaks off.
ATTEMPTS = 3
MISSING = {"NoSuchKey", "404", "NotFound"}
# So S3 answers where the first bytes of an empty file are asked for.
EMPTY = {"InvalidRange", "416"}


class Stored(NamedTuple):
    """etag: what S3 knows this very content by."""

    data: bytes
    etag: str


def get(s3: S3Client, bucket: str, key: str, *, first: int | None = None) -> Stored | None:
    """Return a file, or only its first bytes; None if it is not there, or if none of these are."""
    wanted = {} if first is None else {"Range": f"bytes=0-{first - 1}"}
    left = ATTEMPTS
    while True:
        left -= 1
        try:
            answer = s3.get_object(Bucket=bucket, Key=key, **wanted)  # type: ignore[arg-type]
            return Stored(answer["Body"].read(), answer["ETag"])
        except ClientError as error:
            if code(error) in MISSING | EMPTY:
                return None
            raise
        except BotoCoreError:
            if not left:
                raise


def get_json(s3: S3Client, bucket: str, key: str) -> dict[str, Any] | None:
    """Return what is in a JSON file; None if there is none."""
    found = get(s3, bucket, key)
    values: dict[str, Any] | None = None if found is None else json.loads(found.data)
    return values


def code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
