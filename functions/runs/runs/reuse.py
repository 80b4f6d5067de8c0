"""Rows of an earlier run, for objects that have not changed since.

The plan of a run and its results have the same order, so line by line they tell which row is of which object. They are
kept in a database on disk: memory does not grow with their number.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from itertools import zip_longest
from typing import TYPE_CHECKING, Self

from image_intensity import MeasurementError
from intensity import names
from intensity.runs.layout import SUMMARY, Layout, RunError
from intensity.runs.stored import get_json
from runs.batches import read_entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from types_boto3_s3 import S3Client

    from intensity.sources.objects import S3Object

SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE earlier (name BLOB PRIMARY KEY, etag TEXT, row TEXT) WITHOUT ROWID;
"""
# What the same bytes with the same options will be again. All other problems are of their time.
LASTING = frozenset(kind.code for kind in MeasurementError.__subclasses__())


class Earlier:
    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "earlier.sqlite", isolation_level=None)
        self._database.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def load(self, s3: S3Client, bucket: str, run: str, method: str, folder: Path) -> None:
        """Load the rows of a run. Raises RunError if it has no results, or some of another method."""
        layout = Layout(run)
        summary = get_json(s3, bucket, layout.result(SUMMARY))
        if summary is None:
            raise RunError(f"there are no results of a run {run}")
        if summary["method"] != method:
            raise RunError(f"the run {run} was measured with other options or another version")
        plan, results = folder / "earlier-plan", folder / "earlier-results"
        s3.download_file(bucket, layout.plan, str(plan))
        s3.download_file(bucket, layout.result("results.jsonl"), str(results))
        insert = "INSERT INTO earlier VALUES (?, ?, ?)"
        self._database.execute("BEGIN")
        self._database.executemany(insert, reusable(plan, results))
        self._database.execute("COMMIT")
        plan.unlink()
        results.unlink()

    def row(self, listed: S3Object) -> str | None:
        """Return the row of an object, with its line feed, if it has the same ETag as then; None otherwise."""
        select = "SELECT row FROM earlier WHERE name = ? AND etag = ?"
        with closing(self._database.execute(select, (listed.name, listed.etag))) as found:
            row = found.fetchone()
        return row[0] if row else None


def reusable(plan: Path, results: Path) -> Iterator[tuple[bytes, str, str]]:
    """Yield the name, the ETag and the row of each object whose row would be the same again. Raises RunError."""
    with results.open(encoding="utf-8") as rows:
        for listed, row in zip_longest(planned(plan), rows):
            values = json.loads(row) if row else {}
            if listed is None or values.get("path") != names.written(listed.name):
                raise RunError("the plan and the results of the earlier run do not belong together")
            if listed.etag and values["sha256"] and (values["code"] is None or values["code"] in LASTING):
                yield listed.name, listed.etag, row


def planned(plan: Path) -> Iterator[S3Object]:
    with plan.open(encoding="utf-8") as lines:
        for line in lines:
            yield from map(read_entry, json.loads(line)["objects"])
