"""Rows of an earlier run, for objects that have not changed since.

The plan of a run and its results have the same order, so line by line they tell which row is of which object. They are
kept in a database on disk: memory does not grow with their number.
"""

from __future__ import annotations

import json
import sqlite3
from itertools import zip_longest
from typing import TYPE_CHECKING

from image_intensity import MeasurementError
from intensity import names
from intensity.plan import temporary
from intensity.runs.layout import PLAN, SUMMARY, Layout, RunError
from intensity.runs.stored import get_json
from runs.batches import read_entry
from runs.storage import download

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from types_boto3_s3 import S3Client

    from intensity.sources.objects import S3Object

SCHEMA = """
CREATE TABLE earlier (name BLOB PRIMARY KEY, etag TEXT, row TEXT) WITHOUT ROWID;
BEGIN;
"""
# What the same bytes with the same options will be again. All other problems are of their time.
LASTING = frozenset(kind.code for kind in MeasurementError.__subclasses__())
NOT_TOGETHER = "the plan and the results of the earlier run do not belong together"


class Earlier:
    """The rows of a run, in a temporary database of SQLite."""

    def __init__(self, s3: S3Client, bucket: str, run: str, method: str, folder: Path) -> None:
        """Load the rows. Raises RunError if the run has no results, or some of another method, or damaged ones."""
        layout = Layout(run)
        summary = get_json(s3, bucket, layout.result(SUMMARY), "method")
        if summary is None:
            raise RunError(f"there are no results of a run {run}")
        if summary["method"] != method:
            raise RunError(f"the run {run} was measured with other options or another version")
        plan, results = folder / "earlier-plan", folder / "earlier-results"
        download(s3, bucket, layout.result(PLAN), plan)
        download(s3, bucket, layout.result("results.jsonl"), results)
        self._database = temporary(SCHEMA)
        try:
            self._database.executemany("INSERT INTO earlier VALUES (?, ?, ?)", reusable(plan, results))
        except (ValueError, KeyError, TypeError, AttributeError, sqlite3.IntegrityError) as error:
            raise RunError(NOT_TOGETHER) from error
        self._database.execute("COMMIT")
        plan.unlink()
        results.unlink()

    def row(self, listed: S3Object) -> str | None:
        """Return the row of an object, with its line feed, if it has the same ETag as then; None otherwise."""
        select = "SELECT row FROM earlier WHERE name = ? AND etag = ?"
        found = self._database.execute(select, (listed.name, listed.etag)).fetchone()
        return found[0] if found else None


def reusable(plan: Path, results: Path) -> Iterator[tuple[bytes, str, str]]:
    """Yield the name, the ETag and the row of each object whose row would be the same again.

    Raises one of many errors if the two do not belong together.
    """
    with results.open(encoding="utf-8") as rows:
        for listed, row in zip_longest(planned(plan), rows):
            values = json.loads(row) if row else {}
            if listed is None or values.get("path") != names.written(listed.name):
                raise ValueError(NOT_TOGETHER)
            if listed.etag and values["sha256"] and (values["code"] is None or values["code"] in LASTING):
                yield listed.name, listed.etag, row


def planned(plan: Path) -> Iterator[S3Object]:
    with plan.open(encoding="utf-8") as lines:
        for line in lines:
            yield from map(read_entry, json.loads(line)["objects"])
