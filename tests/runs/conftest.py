"""An S3 in memory with a bucket of images and a bucket of results, and a run that runs as the state machine runs it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from intensity.runs.options import RunOptions
from intensity.runs.request import Request
from intensity.sources.listing import Source
from runs.measure import measure_batch
from runs.plan import Planning
from runs.reduce import write_results
from tests.runs.images import gray
from tests.sources.conftest import s3

__all__ = ["s3"]

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from types_boto3_s3 import S3Client

PHOTOS, RESULTS = "photos", "results"
# The most objects of a batch: what is done with more is the same, and takes longer.
SIZE = 4


class Run:
    """A run, state by state."""

    def __init__(self, s3: S3Client, folder: Path) -> None:
        self.s3, self._folder, self._folders = s3, folder, 0

    def folder(self) -> Path:
        self._folders += 1
        folder = self._folder / str(self._folders)
        folder.mkdir()
        return folder

    def planned(self, request: Request, execution: str = "") -> dict[str, Any]:
        planning = Planning(
            s3=self.s3,
            results=RESULTS,
            sources=frozenset({PHOTOS}),
            reserved=400,
            request=request,
            execution=execution or request.run,
            folder=self.folder(),
        )
        return planning.resume() if request.resume else planning.begin()

    def todo(self, planned: dict[str, Any]) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read(planned["todo"]).splitlines()]

    def measured(self, planned: dict[str, Any], batches: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        """As the Distributed Map does it, with the inputs that its ItemSelector makes."""
        shared = {name: planned[name] for name in ("run", "options", "method", "version")}
        todo = self.todo(planned) if batches is None else batches
        return [measure_batch({"batch": batch, **shared}, self.s3, RESULTS) for batch in todo]

    def reduced(self, planned: dict[str, Any]) -> dict[str, Any]:
        return write_results(self.s3, RESULTS, planned, self.folder())

    def whole(self, request: Request, execution: str = "") -> dict[str, Any]:
        planned = self.planned(request, execution)
        self.measured(planned)
        return self.reduced(planned)

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=RESULTS, Key=key)["Body"].read()

    def rows(self, run: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read(f"runs/{run}/results.jsonl").splitlines()]

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=RESULTS, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", ())]


@pytest.fixture
def run(s3: S3Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("runs.batches.BATCH_OBJECTS", SIZE)
    return Run(s3, tmp_path)


@pytest.fixture
def upload(s3: S3Client) -> Callable[..., None]:
    """Put images of one gray value each into the bucket of images: their keys, and the values."""

    def put(values: dict[str, int], **arguments: str) -> None:
        for key, value in values.items():
            s3.put_object(Bucket=PHOTOS, Key=key, Body=gray(value), **arguments)  # type: ignore[arg-type]

    return put


def request(run: str = "first", **changes: Any) -> Request:  # noqa: ANN401 - of any field
    """A request for all objects of the bucket, with these changes."""
    usual = Request(run=run, sources=(Source("prefix", f"s3://{PHOTOS}/"),), options=RunOptions())
    return replace(usual, **changes)


def one_by_one(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """What the state OneByOne makes of a batch."""
    return [{"n": batch["n"], "single": True, "objects": [each]} for each in batch["objects"]]
