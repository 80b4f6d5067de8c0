"""The Lambda function that measures a batch of objects and writes their rows as one part, in the processor's image.

A crash or a time-out loses the whole batch. The state machine then sends each object by itself, so it costs one row.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.exceptions import ClientError
from botocore.session import Session

from image_intensity import Limits
from intensity import names
from intensity.lines import json_line
from intensity.rows import PROCESSOR_FAILED, installed_method, problem_row
from intensity.runs.layout import Layout, part_name, write_part
from intensity.runs.options import RunOptions
from intensity.runs.stored import code, get
from intensity.sources.errors import Content, ReadProblem
from intensity.sources.fetch import content
from intensity.work import Work
from runs.batches import read_entry
from runs.parts import sound
from runs.storage import configuration, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from types_boto3_s3 import S3Client

    from intensity.rows import Row
    from intensity.sources.objects import S3Object

# While an image is measured, the next ones are read: so many, unless they are larger than this together.
READ_AHEAD = 8
READ_AHEAD_BYTES = 32_000_000
TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412"}


class OtherVersionError(Exception):
    """The run was planned for another version of algorithm or decoders than this function has."""


class Read(NamedTuple):
    """An object that was read, or the problem with it."""

    listed: S3Object
    content: Content
    problem: ReadProblem | None


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
    Raises OtherVersionError, and an error of S3 that says nothing of an object: then no part is written.
    """
    options, batch = RunOptions.read(event["options"]), event["batch"]
    work = work_of(options)
    if work.method.version != event["version"]:
        raise OtherVersionError(f"this function has {work.method.version}, and the run wants {event['version']}")
    index = batch["objects"][0]["i"] if batch["single"] else None
    part, rows = part_name(batch["n"], index), len(batch["objects"])
    key = Layout(event["run"]).part(event["method"], batch["n"], index)
    # Lambda can run an invocation twice, and a canceled execution can have been a moment from its end.
    there = get(s3, results, key)
    if there and sound(there.data, key, event["method"], batch["objects"]):
        return {"part": part, "rows": rows, "measured": 0}
    begun = time.monotonic()
    found = list(measured(s3, [read_entry(entry) for entry in batch["objects"]], work))
    head = {
        "part": part,
        "method": event["method"],
        "rows": rows,
        "codes": Counter(row.code for row in found if row.code),
        "bytes": sum(row.image_size_bytes or 0 for row in found),
        "seconds": round(time.monotonic() - begun, 3),
    }
    data = write_part(head, (json_line(row, full=work.full) for row in found))
    written = write(s3, results, key, data, instead_of=there.etag if there else None)
    return {"part": part, "rows": rows, "measured": rows if written else 0}


def work_of(options: RunOptions) -> Work:
    """Return how each object is measured, with the versions that are installed here."""
    method = installed_method(options.measuring)
    limits = Limits(formats=options.formats, max_pixels=options.max_pixels)
    return Work(method=method, limits=limits, full=options.full, max_bytes=options.max_bytes)


def measured(s3: S3Client, objects: Sequence[S3Object], work: Work) -> Iterator[Row]:
    """Yield the row of each object, in their order."""
    for listed, read, problem in read_ahead(s3, objects, work):
        name = names.written(listed.name)
        if problem:
            yield problem_row(name, problem.code, problem.detail, work.method)
        else:
            yield work.row(name, read)


def read_ahead(s3: S3Client, objects: Sequence[S3Object], work: Work) -> Iterator[Read]:
    """Yield the objects, of which some are read while the caller works on an earlier one."""
    with ThreadPoolExecutor(READ_AHEAD) as pool:
        left = deque(objects)
        reading: deque[tuple[S3Object, Future[Read]]] = deque()
        held = 0
        while left or reading:
            while left and len(reading) < READ_AHEAD and (not reading or held + size(left[0]) <= READ_AHEAD_BYTES):
                held += size(left[0])
                reading.append((left[0], pool.submit(read, s3, left.popleft(), work)))
            listed, future = reading.popleft()
            held -= size(listed)
            yield future.result()


def size(listed: S3Object) -> int:
    """Return how many bytes an object may have in memory."""
    return READ_AHEAD_BYTES if listed.size is None else listed.size


def read(s3: S3Client, listed: S3Object, work: Work) -> Read:
    """Read an object. Raises ReadProblem where S3 is in trouble and not the object: no row may say so for good."""
    try:
        return Read(listed, content(s3, listed, work.max_bytes, work.reads_on), None)
    except ReadProblem as problem:
        if problem.code == PROCESSOR_FAILED:
            raise
        return Read(listed, Content(b"", 0), problem)


def write(s3: S3Client, bucket: str, key: str, data: bytes, *, instead_of: str | None) -> bool:
    """Write a part. Return False if another invocation has written it meanwhile; that one stays.

    instead_of: the ETag of the part that is there and is not sound; None if there was none.
    """
    try:
        if instead_of is None:
            s3.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", ContentType="application/jsonl")
        else:
            s3.put_object(Bucket=bucket, Key=key, Body=data, IfMatch=instead_of, ContentType="application/jsonl")
    except ClientError as error:
        if code(error) in TAKEN:
            return False
        raise
    return True
