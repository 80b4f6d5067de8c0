"""How the three functions ask S3, and their log."""

from __future__ import annotations

import json
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from botocore.config import Config
from botocore.exceptions import ClientError

from intensity.runs.layout import RunError
from intensity.runs.stored import MISSING, code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from types_boto3_s3 import S3Client

Item = TypeVar("Item")
Result = TypeVar("Result")
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


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield what a function returns for each item, in their order. So few wait at a time that memory stays small."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= 2 * REQUESTS_AT_ONCE:
                yield waiting.popleft().result()
        for each in waiting:
            yield each.result()


def log(message: str, **values: object) -> None:
    """Write one line of JSON to standard output. Values are counts and ids, never a key or a name of an object."""
    line = {"timestamp": datetime.now(UTC).isoformat(), "level": "INFO", "message": message, "name": "runs", **values}
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()
