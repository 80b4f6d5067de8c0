"""The Lambda function that measures a batch of objects and writes their rows as one part, in the processor's image.

A crash or a time-out loses the whole batch. The state machine then sends each object by itself, so it costs one row.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError
from botocore.session import Session

from image_intensity import Limits
from intensity.lines import json_line
from intensity.rows import installed_method
from intensity.runs.layout import Layout, part_name, write_part
from intensity.runs.options import RunOptions
from intensity.runs.stored import code, get
from intensity.sources.fetch import READ_AHEAD, Objects
from intensity.work import Measuring, Work
from runs.batches import read_entry
from runs.parts import sound
from runs.storage import configuration, log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_s3 import S3Client

TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412"}


class OtherVersionError(Exception):
    """The run was planned for another version of algorithm or decoders than this function has."""


def lambda_handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Measure a batch, and return counts only: rows have no place in the history of an execution."""
    answer = measure_batch(event, client(), os.environ["RESULTS_BUCKET"])
    log("batch", run=event["run"], part=answer["part"], rows=answer["rows"], measured=answer["measured"])
    return answer


@cache
def client() -> S3Client:
    """Return a client for S3, which all invocations of this process use."""
    return cast("S3Client", Session().create_client("s3", config=configuration()))


def measure_batch(event: Mapping[str, Any], s3: S3Client, results: str) -> dict[str, Any]:
    """Measure the objects of a batch and write their part, unless it is there already. Return its counts.

    event: `run`, `batch` (a line of the plan), `options`, `method` and `version`, as the plan has them.
    Raises OtherVersionError and, where S3 is in trouble, SourceError and errors of botocore: then no part is written.
    """
    options, batch = RunOptions.read(event["options"]), event["batch"]
    method = installed_method(options.measuring)
    if method.version != event["version"]:
        raise OtherVersionError(f"this function has {method.version}, and the run wants {event['version']}")
    index = batch["objects"][0]["i"] if batch["single"] else None
    part, rows = part_name(batch["n"], index), len(batch["objects"])
    key = Layout(event["run"]).part(event["method"], batch["n"], index)
    # Lambda can run an invocation twice, and a canceled execution can have been a moment from its end.
    there = get(s3, results, key)
    if there and sound(there.data, batch["objects"]):
        return {"part": part, "rows": rows, "measured": 0}
    limits = Limits(formats=options.formats, max_pixels=options.max_pixels)
    work = Work(method=method, limits=limits, full=options.full, max_bytes=options.max_bytes, noun="object")
    # What S3 does not give ends all: it is in trouble and not the object, so no row may say so for good.
    measuring, begun = Measuring(Objects(s3), work, most_failures=1), time.monotonic()
    found = [read_entry(entry).found for entry in batch["objects"]]
    measured = [measuring.row(each, found[place : place + READ_AHEAD]) for place, each in enumerate(found, 1)]
    seconds = round(time.monotonic() - begun, 3)
    codes = Counter(row["code"] for row in measured if row["code"])
    data = write_part([json_line(row) for row in measured], codes, seconds)
    written = write(s3, results, key, data, instead_of=there.etag if there else None)
    return {"part": part, "rows": rows, "measured": rows if written else 0}


def write(s3: S3Client, bucket: str, key: str, data: bytes, *, instead_of: str | None) -> bool:
    """Write a part. Return False if another invocation has written it meanwhile; that one stays.

    instead_of: the ETag of the part that is there and is not sound; None if there was none.
    """
    condition = {"IfNoneMatch": "*"} if instead_of is None else {"IfMatch": instead_of}
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/jsonl", **condition)  # type: ignore[arg-type]
    except ClientError as error:
        if code(error) in TAKEN:
            return False
        raise
    return True
