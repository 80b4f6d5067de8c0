"""What is kept in the bucket of results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from intensity.runs.layout import RunError

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
    for left in reversed(range(ATTEMPTS)):
        try:
            answer = s3.get_object(Bucket=bucket, Key=key, **wanted)  # type: ignore[arg-type]
            return Stored(answer["Body"].read(), answer["ETag"])
        except ClientError as error:
            if code(error) not in MISSING | EMPTY:
                raise
            return None
        except BotoCoreError:
            if not left:
                raise
    return None


def get_json(s3: S3Client, bucket: str, key: str, *needed: str) -> dict[str, Any] | None:
    """Return what is in a JSON file; None if there is none. Raises RunError if it has not what is needed."""
    found = get(s3, bucket, key)
    try:
        values: dict[str, Any] | None = None if found is None else json.loads(found.data)
        return None if values is None else {**{name: values[name] for name in needed}, **values}
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise RunError(f"s3://{bucket}/{key} is damaged, or no file of a run") from error


def code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
