"""The Lambda function that begins a run: it lists the objects and packs them into batches.

The plan is written to disk and then to S3, so memory does not grow with the number of objects.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import boto3

from image_intensity import algorithm, version
from intensity.plan import NAMED_AGAIN, Plan
from intensity.runs.layout import Layout, RunError, part_name, write_part
from intensity.runs.options import RunOptions
from intensity.runs.request import Request, children, objects
from intensity.runs.stored import get_json
from intensity.sources.errors import SourceError
from intensity.sources.paths import Found
from runs.batches import Packer, batch_line
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


@dataclass(slots=True)
class Counts:
    listed: int = 0
    bytes: int = 0
    batches: int = 0
    to_measure: int = 0
    reused: int = 0


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
        self._deployment, self._folder = deployment, folder
        self._bucket, self._layout = deployment.results, Layout(request.run)
        self._version = version(algorithm(request.options.measuring))
        self._method = request.options.digest(self._version)
        self._counts, self._skipped = Counts(), Counter[str]()
        # The parts that are being written.
        self._writing: deque[Future[None]] = deque()

    def begin(self) -> dict[str, Any]:
        """Plan a new run. Raises RunError and SourceError."""
        there = get_json(self._s3, self._bucket, self._layout.description)
        # Step Functions may call a second time where the first call got lost.
        if there and there["execution"] != self._execution:
            raise RunError(f"there is a run {self._request.run} already")
        for source in self._request.sources:
            self._deployment.check(source.uri.removeprefix("s3://").partition("/")[0])
        plan, todo = self._folder / "plan", self._folder / "todo"
        with Earlier(self._folder) as earlier, plan.open("w") as every, todo.open("w") as new:
            if self._request.since is not None:
                earlier.load(self._s3, self._bucket, self._request.since, self._method, self._folder)
            self._pack(earlier, every, new)
        self._s3.upload_file(str(plan), self._bucket, self._layout.plan)
        self._s3.upload_file(str(todo), self._bucket, self._layout.todo(self._execution))
        description = {
            **self._request.values(),
            **asdict(self._counts),
            "skipped": dict(self._skipped),
            "execution": self._execution,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": self._version,
            "method": self._method,
        }
        self._describe(description)
        return self._answer(self._request.options, self._counts.to_measure)

    def resume(self) -> dict[str, Any]:
        """Plan what a run has left: the batches and objects of its plan that have no sound row. Raises RunError."""
        description = get_json(self._s3, self._bucket, self._layout.description)
        if description is None:
            raise RunError(f"there is no run {self._request.run}, or its plan was not complete")
        options = RunOptions.read(description["options"])
        # With another version than before, nothing is measured yet: parts of two versions have two folders.
        self._version = version(algorithm(options.measuring))
        self._method = options.digest(self._version)
        self._counts = Counts(**{name: description[name] for name in Counts.__slots__})
        parts = Parts(self._s3, self._bucket, self._request.run, self._method)
        plan, todo, left = self._folder / "plan", self._folder / "todo", 0
        self._s3.download_file(self._bucket, self._layout.plan, str(plan))
        with todo.open("w") as new:
            for part in parts.walk(plan):
                lines = list(missing(part))
                new.writelines(lines)
                left += len(lines)
        self._s3.upload_file(str(todo), self._bucket, self._layout.todo(self._execution))
        self._describe({**description, "version": self._version, "method": self._method})
        return self._answer(options, left)

    def _pack(self, earlier: Earlier, every: IO[str], new: IO[str]) -> None:
        """Write all objects to `every` in batches, and the batches without earlier rows to `new`, too."""
        packer, again = Packer(), Packer()
        rows: list[str] = []
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            for listed in self._found():
                row = earlier.row(listed) if self._request.since is not None else None
                if row is None:
                    self._measure(packer.add(listed), every, new)
                else:
                    self._reuse(again.add(listed), rows, every, pool)
                    rows.append(row)
            self._measure(packer.take(), every, new)
            self._reuse(again.take(), rows, every, pool)
            while self._writing:
                self._writing.popleft().result()

    def _measure(self, entries: list[str], every: IO[str], new: IO[str]) -> None:
        if entries:
            line = batch_line(self._counts.batches, entries)
            every.write(line)
            new.write(line)
            self._counts.batches += 1
            self._counts.to_measure += 1

    def _reuse(self, entries: list[str], rows: list[str], every: IO[str], pool: ThreadPoolExecutor) -> None:
        """Write a batch whose rows are the first of `rows`, if there is one, and its part; remove these rows."""
        if not entries:
            return
        own = rows[: len(entries)]
        del rows[: len(entries)]
        every.write(batch_line(self._counts.batches, entries))
        codes = Counter(code for row in own if (code := json.loads(row)["code"]))
        head = {"part": part_name(self._counts.batches), "method": self._method, "rows": len(own)}
        part = write_part({**head, "codes": codes, "bytes": 0, "seconds": 0.0}, own)
        # So few wait at a time that memory stays small.
        if len(self._writing) >= 2 * REQUESTS_AT_ONCE:
            self._writing.popleft().result()
        key = self._layout.part(self._method, self._counts.batches)
        self._writing.append(pool.submit(self._put, key, part))
        self._counts.batches += 1
        self._counts.reused += len(own) - codes.total()

    def _put(self, key: str, data: bytes) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=data)

    def _found(self) -> Iterator[S3Object]:
        """Yield each object of the sources once, and count all. Raises SourceError."""
        found = objects(self._s3, self._request, self._skipped)
        for listed in found if self._request.names_once else self._distinct(found):
            self._deployment.check(listed.bucket)
            self._counts.listed += 1
            self._counts.bytes += listed.size or 0
            self._request.check_number(self._counts.listed)
            yield listed

    def _distinct(self, found: Iterator[S3Object]) -> Iterator[S3Object]:
        """Yield each object once; count the others."""
        with Plan() as seen:
            for listed in found:
                if seen.add(0, Found(listed.name)):
                    yield listed
                else:
                    self._skipped[NAMED_AGAIN] += 1

    def _describe(self, description: Mapping[str, Any]) -> None:
        self._put(self._layout.description, json.dumps(description, indent=1).encode())

    def _answer(self, options: RunOptions, batches: int) -> dict[str, Any]:
        return {
            "run": self._request.run,
            "execution": self._execution,
            "bucket": self._bucket,
            "todo": self._layout.todo(self._execution),
            "children": self._layout.children,
            "options": options.values(),
            "version": self._version,
            "method": self._method,
            "listed": self._counts.listed,
            "batches": batches,
            "max_concurrency": children(self._request.max_concurrency, self._deployment.reserved),
        }


def missing(part: FoundPart) -> Iterator[str]:
    """Yield what has no row in a batch, as lines: all of it, or each object by itself."""
    entries = [entry for entry in part.batch["objects"] if entry["i"] not in part.rows]
    number, lines = part.batch["n"], [json.dumps(entry, ensure_ascii=False) for entry in entries]
    if part.rows:
        yield from (batch_line(number, [line], single=True) for line in lines)
    else:
        yield batch_line(number, lines)
