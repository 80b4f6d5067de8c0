"""How the three functions ask S3, and their log."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import ClientError

from intensity.runs.layout import RunError
from intensity.runs.stored import MISSING, code

if TYPE_CHECKING:
    from pathlib import Path

    from types_boto3_s3 import S3Client

# Threads of a function that wait for S3.
REQUESTS_AT_ONCE = 16


def configuration() -> Config:
    """Return how a client waits, and asks again where S3 says that it is too much at this time."""
    return Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "adaptive", "total_max_attempts": 8},
        max_pool_connections=REQUESTS_AT_ONCE,
    )


def download(s3: S3Client, bucket: str, key: str, file: Path) -> None:
    """Copy a file of a run to the disk. Raises RunError if it is not there."""
    try:
        s3.download_file(bucket, key, str(file))
    except ClientError as error:
        if code(error) in MISSING:
            raise RunError(f"s3://{bucket}/{key} is not there") from error
        raise


def log(message: str, **values: object) -> None:
    """Write one line of JSON to standard output. Values are counts and ids, never a key or a name of an object."""
    line = {"timestamp": datetime.now(UTC).isoformat(), "level": "INFO", "message": message, "name": "runs", **values}
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()
