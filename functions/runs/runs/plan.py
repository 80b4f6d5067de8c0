"""The Lambda function that begins a run: it lists the objects and packs them into batches.

The plan is written to disk and then to S3, so memory does not grow with the number of objects.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from image_intensity import algorithm, version
from intensity.plan import NAMED_AGAIN, Plan
from intensity.runs.layout import Layout, RunError, part_name, write_part
from intensity.runs.options import RunOptions
from intensity.runs.request import Request, children, objects
from intensity.runs.stored import get_json
from intensity.sources.errors import SourceError
from runs.batches import batch_line, packed
from runs.parts import Parts
from runs.reuse import Earlier
from runs.storage import REQUESTS_AT_ONCE, configuration, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future

    from types_boto3_s3 import S3Client

    from intensity.sources.objects import S3Object
    from runs.parts import FoundPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What the deployment says.

    results: the bucket of results. sources: the buckets that may be read. reserved: functions for runs, so many can
    measure at a time; -1 for no such bound.
    """

    results: str
    sources: frozenset[str]
    reserved: int

    def check(self, bucket: str) -> None:
        if bucket not in self.sources:
            raise SourceError(
                f"runs of this deployment may not read the bucket {bucket}; its parameter SourceBuckets says which "
                "they may"
            )


def lambda_handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Plan an execution: `request` is its input, `execution` its name. Return what the other states need."""
    deployment = Deployment(
        results=os.environ["RESULTS_BUCKET"],
        sources=frozenset(filter(None, os.environ["SOURCE_BUCKETS"].split(","))),
        reserved=int(os.environ["RESERVED_FUNCTIONS"]),
    )
    request = Request.read(event["request"])
    with tempfile.TemporaryDirectory() as folder:
        s3 = boto3.client("s3", config=configuration())
        planning = Planning(s3, request, event["execution"], deployment, Path(folder))
        answer = planning.resume() if request.resume else planning.begin()
    log("plan", run=request.run, listed=answer["listed"], batches=answer["batches"])
    return answer


class Planning:
    """The planning of one execution. folder: empty, for what is written to S3 later."""

    def __init__(self, s3: S3Client, request: Request, execution: str, deployment: Deployment, folder: Path) -> None:
        self._s3, self._request, self._execution = s3, request, execution
        self._deployment, self._bucket, self._layout = deployment, deployment.results, Layout(request.run)
        self._folder, self._plan, self._todo = folder, folder / "plan", folder / "todo"

    def begin(self) -> dict[str, Any]:
        """Plan a new run. Raises RunError and SourceError."""
        there = get_json(self._s3, self._bucket, self._layout.description, "execution")
        # Step Functions may call a second time where the first call got lost.
        if there and there["execution"] != self._execution:
            raise RunError(f"there is a run {self._request.run} already")
        for source in self._request.sources:
            self._deployment.check(source.uri.removeprefix("s3://").partition("/")[0])
        made, skipped = self._made_with(self._request.options), Counter[str]()
        counts = self._pack(made["method"], skipped)
        self._s3.upload_file(str(self._plan), self._bucket, self._layout.plan)
        described = {"execution": self._execution, "started": datetime.now(UTC).isoformat(timespec="seconds")}
        return self._end(
            {**self._request.values(), **counts, "skipped": skipped, **described, **made}, counts["to_measure"]
        )

    def resume(self) -> dict[str, Any]:
        """Plan what a run has left: the batches and objects of its plan that have no sound row. Raises RunError."""
        description = get_json(self._s3, self._bucket, self._layout.description, "options", "listed")
        if description is None:
            raise RunError(f"there is no run {self._request.run}, or its plan was not complete")
        # With another version than before, nothing is measured yet: parts of two versions have two folders.
        made, left = self._made_with(RunOptions.read(description["options"])), 0
        with self._todo.open("w") as new:
            for part in Parts(self._s3, self._bucket, self._request.run, made["method"]).walk(self._plan):
                for line in missing(part):
                    new.write(line)
                    left += 1
        return self._end({**description, **made}, left)

    def _made_with(self, options: RunOptions) -> dict[str, str]:
        found = version(algorithm(options.measuring))
        return {"version": found, "method": options.digest(found)}

    def _pack(self, method: str, skipped: Counter[str]) -> dict[str, int]:
        """Write the batches to the plan, and those without earlier rows to what is to do. Return the counts."""
        counts = Counter[str](listed=0, bytes=0, batches=0, to_measure=0, reused=0)
        writing: deque[Future[None]] = deque()
        with self._plan.open("w") as every, self._todo.open("w") as new, ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            for number, batch in enumerate(packed(self._with_rows(method, counts, skipped))):
                line = batch_line(number, batch.entries)
                every.write(line)
                counts["batches"] += 1
                if not batch.rows:
                    new.write(line)
                    counts["to_measure"] += 1
                    continue
                codes = Counter(code for row in batch.rows if (code := json.loads(row)["code"]))
                counts["reused"] += len(batch.rows) - codes.total()
                part = write_part(part_name(number), method, batch.rows, codes)
                # So few wait at a time that memory stays small.
                if len(writing) >= 2 * REQUESTS_AT_ONCE:
                    writing.popleft().result()
                writing.append(pool.submit(self._put, self._layout.part(method, number), part))
            for each in writing:
                each.result()
        return dict(counts)

    def _with_rows(
        self, method: str, counts: Counter[str], skipped: Counter[str]
    ) -> Iterator[tuple[S3Object, str | None]]:
        """Yield each object of the sources once, with its row in the earlier run, if any. Raises SourceError."""
        since, found = self._request.since, objects(self._s3, self._request, skipped)
        earlier = since and Earlier(self._s3, self._bucket, since, method, self._folder)
        for listed in found if self._request.names_once else distinct(found, skipped):
            self._deployment.check(listed.bucket)
            counts["listed"] += 1
            counts["bytes"] += listed.size or 0
            self._request.check_number(counts["listed"])
            yield listed, earlier.row(listed) if earlier else None

    def _put(self, key: str, data: bytes) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=data)

    def _end(self, description: Mapping[str, Any], batches: int) -> dict[str, Any]:
        """Write what is to do, and the description last. Return what the other states need."""
        todo = self._layout.todo(self._execution)
        self._s3.upload_file(str(self._todo), self._bucket, todo)
        self._put(self._layout.description, json.dumps(description, indent=1).encode())
        return {
            **{name: description[name] for name in ("run", "options", "version", "method", "listed")},
            "execution": self._execution,
            "bucket": self._bucket,
            "todo": todo,
            "children": self._layout.children,
            "batches": batches,
            "max_concurrency": children(self._request.max_concurrency, self._deployment.reserved),
        }


def distinct(found: Iterator[S3Object], skipped: Counter[str]) -> Iterator[S3Object]:
    """Yield each object once; count the others."""
    with Plan() as seen:
        for listed in found:
            if seen.add(0, listed.found):
                yield listed
            else:
                skipped[NAMED_AGAIN] += 1


def missing(part: FoundPart) -> Iterator[str]:
    """Yield what has no row in a batch, as lines: all of it, or each object by itself."""
    entries = [entry for entry in part.batch["objects"] if entry["i"] not in part.rows]
    number, lines = part.batch["n"], [json.dumps(entry, ensure_ascii=False) for entry in entries]
    if part.rows:
        yield from (batch_line(number, [line], single=True) for line in lines)
    else:
        yield batch_line(number, lines)
