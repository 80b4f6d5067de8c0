"""How the three functions ask S3, and their log."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# Threads of a function that wait for S3.
REQUESTS_AT_ONCE = 16
# botocore tries requests again, but not the reading of an answer that breaks off.
ATTEMPTS_TO_READ = 3
MISSING = {"NoSuchKey", "404", "NotFound"}


def configuration() -> Config:
    """Return how a client waits, and asks again where S3 says that it is too much at this time."""
    return Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "adaptive", "total_max_attempts": 8},
        max_pool_connections=REQUESTS_AT_ONCE,
    )


class Stored(NamedTuple):
    """An object of ours. etag: what S3 knows this very content by."""

    data: bytes
    etag: str


def get(s3: S3Client, bucket: str, key: str) -> Stored | None:
    """Return an object of ours; None if there is none."""
    left = ATTEMPTS_TO_READ
    while True:
        left -= 1
        try:
            answer = s3.get_object(Bucket=bucket, Key=key)
            return Stored(answer["Body"].read(), answer["ETag"])
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                return None
            raise
        except BotoCoreError:
            if not left:
                raise


def get_json(s3: S3Client, bucket: str, key: str) -> dict[str, Any] | None:
    """Return what is in a JSON file of ours; None if there is none."""
    found = get(s3, bucket, key)
    values: dict[str, Any] | None = None if found is None else json.loads(found.data)
    return values


def log(message: str, **values: object) -> None:
    """Write one line of JSON to standard output. Values are counts and ids, never a key or a name of an object."""
    line = {"timestamp": datetime.now(UTC).isoformat(), "level": "INFO", "message": message, "name": "runs", **values}
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()
