"""The Lambda function that begins a run: it lists the objects and packs them into batches.

The plan is written to disk and then to S3, so memory does not grow with the number of objects.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from image_intensity import algorithm, version
from intensity.runs.layout import DESCRIPTION, PLAN, Layout, RunError, write_part
from intensity.runs.options import RunOptions
from intensity.runs.request import Request, children, objects
from intensity.runs.stored import get_json
from intensity.sources.errors import SourceError
from runs.batches import batch_line, packed
from runs.parts import Parts
from runs.reuse import Earlier
from runs.storage import configuration, in_threads, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from types_boto3_s3 import S3Client

    from intensity.sources.objects import S3Object
    from runs.batches import Batch
    from runs.parts import FoundPart


def lambda_handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Plan an execution: `request` is its input, `execution` its name. Return what the other states need."""
    request = Request.read(event["request"])
    with tempfile.TemporaryDirectory() as folder:
        planning = Planning(
            s3=boto3.client("s3", config=configuration()),
            results=os.environ["RESULTS_BUCKET"],
            sources=frozenset(filter(None, os.environ["SOURCE_BUCKETS"].split(","))),
            reserved=int(os.environ["RESERVED_FUNCTIONS"]),
            request=request,
            execution=event["execution"],
            folder=Path(folder),
        )
        answer = planning.resume() if request.resume else planning.begin()
    log("plan", run=request.run, listed=answer["listed"], batches=answer["batches"])
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """The planning of one execution.

    results: the bucket of results. sources: the buckets that may be read. reserved: functions for runs, so many can
    measure at a time; -1 for no such bound. folder: empty, for what is written to S3 later.
    """

    s3: S3Client
    results: str
    sources: frozenset[str]
    reserved: int
    request: Request
    execution: str
    folder: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.request.run)

    @property
    def plan(self) -> Path:
        return self.folder / "plan"

    @property
    def todo(self) -> Path:
        return self.folder / "todo"

    def begin(self) -> dict[str, Any]:
        """Plan a new run. Raises RunError and SourceError."""
        there = get_json(self.s3, self.results, self.layout.result(DESCRIPTION), "execution")
        # Step Functions may call a second time where the first call got lost.
        if there and there["execution"] != self.execution:
            raise RunError(f"there is a run {self.request.run} already")
        for source in self.request.sources:
            self._check(source.uri.removeprefix("s3://").partition("/")[0])
        made, skipped = made_with(self.request.options), Counter[str]()
        counts = self._pack(made["method"], skipped)
        self.s3.upload_file(str(self.plan), self.results, self.layout.result(PLAN))
        described = {"execution": self.execution, "started": datetime.now(UTC).isoformat(timespec="seconds")}
        description = {**self.request.values(), **counts, "skipped": skipped, **described, **made}
        return self._end(description, counts["to_measure"])

    def resume(self) -> dict[str, Any]:
        """Plan what a run has left: the batches and objects of its plan that have no sound row. Raises RunError."""
        description = get_json(self.s3, self.results, self.layout.result(DESCRIPTION), "options", "listed")
        if description is None:
            raise RunError(f"there is no run {self.request.run}, or its plan was not complete")
        # With another version than before, nothing is measured yet: parts of two versions have two folders.
        made, left = made_with(RunOptions.read(description["options"])), 0
        with self.todo.open("w") as new:
            for part in Parts(self.s3, self.results, self.request.run, made["method"]).walk(self.plan):
                for line in missing(part):
                    new.write(line)
                    left += 1
        return self._end({**description, **made}, left)

    def _pack(self, method: str, skipped: Counter[str]) -> dict[str, int]:
        """Write the batches to the plan, and those without earlier rows to what is to do. Return the counts."""
        counts = Counter[str](listed=0, bytes=0, batches=0, to_measure=0, reused=0)

        def kept(numbered: tuple[int, Batch]) -> tuple[str, Batch, int]:
            """Write the earlier rows of a batch, if any, as its part. Return its line, and how many have a number."""
            number, batch = numbered
            codes = Counter(code for row in batch.rows if (code := json.loads(row)["code"]))
            if batch.rows:
                self._put(self.layout.part(method, number), write_part(batch.rows, codes))
            return batch_line(number, batch.entries), batch, len(batch.rows) - codes.total()

        with self.plan.open("w") as every, self.todo.open("w") as new:
            batches = packed(self._with_rows(method, counts, skipped))
            for line, batch, reused in in_threads(kept, enumerate(batches)):
                every.write(line)
                counts.update(batches=1, reused=reused, to_measure=not batch.rows)
                if not batch.rows:
                    new.write(line)
        return dict(counts)

    def _with_rows(
        self, method: str, counts: Counter[str], skipped: Counter[str]
    ) -> Iterator[tuple[S3Object, str | None]]:
        """Yield each object of the sources, with its row in the earlier run, if any. Raises SourceError."""
        since = self.request.since
        earlier = since and Earlier(self.s3, self.results, since, method, self.folder)
        for listed in objects(self.s3, self.request, skipped):
            self._check(listed.bucket)
            counts.update(listed=1, bytes=listed.size or 0)
            yield listed, earlier.row(listed) if earlier else None

    def _check(self, bucket: str) -> None:
        if bucket not in self.sources:
            raise SourceError(
                f"runs of this deployment may not read the bucket {bucket}; its parameter SourceBuckets says which "
                "they may"
            )

    def _put(self, key: str, data: bytes) -> None:
        self.s3.put_object(Bucket=self.results, Key=key, Body=data)

    def _end(self, description: Mapping[str, Any], batches: int) -> dict[str, Any]:
        """Write what is to do, and the description last. Return what the other states need."""
        todo = self.layout.todo(self.execution)
        self.s3.upload_file(str(self.todo), self.results, todo)
        self._put(self.layout.result(DESCRIPTION), json.dumps(description, indent=1).encode())
        return {
            **{name: description[name] for name in ("run", "options", "version", "method", "listed")},
            "execution": self.execution,
            "bucket": self.results,
            "todo": todo,
            "children": self.layout.children,
            "batches": batches,
            "max_concurrency": children(self.request.max_concurrency, self.reserved),
        }


def made_with(options: RunOptions) -> dict[str, str]:
    found = version(algorithm(options.measuring))
    return {"version": found, "method": options.digest(found)}


def missing(part: FoundPart) -> Iterator[str]:
    """Yield what has no row in a batch, as lines: all of it, or each object by itself."""
    entries = [entry for entry in part.batch["objects"] if entry["i"] not in part.rows]
    number, lines = part.batch["n"], [json.dumps(entry, ensure_ascii=False) for entry in entries]
    if part.rows:
        yield from (batch_line(number, [line], single=True) for line in lines)
    else:
        yield batch_line(number, lines)
