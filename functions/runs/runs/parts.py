"""The parts of a run: which are there, and which rows in them are those of the plan.

Plan and Reduce ask the same question here, so `resume` measures exactly the objects that would have no row. A part that
is damaged, or that has the rows of something else, is as good as none.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from intensity import names
from intensity.runs.layout import PLAN, Layout, RunError, read_part, read_part_name
from intensity.runs.stored import get
from runs.batches import read_entry
from runs.storage import download, in_threads, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from types_boto3_s3 import S3Client


class FoundRow(NamedTuple):
    """A row of a part: its line, with the line feed, and what is in it."""

    line: bytes
    values: dict[str, Any]


class FoundPart(NamedTuple):
    """What there is of a batch. rows: by the place of their object in the batch. seconds: what they took."""

    batch: Mapping[str, Any]
    rows: dict[int, FoundRow]
    seconds: float


class Sound(NamedTuple):
    """A part that is whole."""

    rows: list[FoundRow]
    seconds: float


class Parts:
    """The parts of a run that were there when this was made."""

    def __init__(self, s3: S3Client, bucket: str, run: str, method: str) -> None:
        self._s3, self._bucket, self._layout, self._method = s3, bucket, Layout(run), method
        # By batch, and by object where a batch was done object by object.
        self._there = set[tuple[int, int | None]]()
        pages = s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=self._layout.parts(method)):
            for each in page.get("Contents", ()):
                # Something else may lie between them.
                with suppress(ValueError):
                    self._there.add(read_part_name(each["Key"]))

    def walk(self, plan: Path) -> Iterator[FoundPart]:
        """Yield what there is of each batch in the plan, in its order. Some parts are read ahead. Raises RunError.

        plan: where to copy the plan.
        """
        key = self._layout.result(PLAN)
        download(self._s3, self._bucket, key, plan)
        try:
            with plan.open(encoding="utf-8") as lines:
                yield from in_threads(self._of, map(json.loads, lines))
        except (ValueError, LookupError, TypeError) as error:
            raise RunError(f"s3://{self._bucket}/{key} is damaged: start another run") from error

    def _of(self, batch: Mapping[str, Any]) -> FoundPart:
        """Return the rows of a batch: from its part, or from the parts of its objects."""
        objects, rows, seconds = batch["objects"], dict[int, FoundRow](), 0.0
        for index, entries in [(None, objects), *((entry["i"], [entry]) for entry in objects)]:
            if found := self._read(batch["n"], index, entries):
                rows.update(zip((entry["i"] for entry in entries), found.rows, strict=True))
                seconds += found.seconds
            if len(rows) == len(objects):
                break
        return FoundPart(batch, rows, seconds)

    def _read(self, batch: int, index: int | None, objects: Sequence[Mapping[str, Any]]) -> Sound | None:
        """Return a part of these objects; None if it is not there (any more), or not sound."""
        if (batch, index) not in self._there:
            return None
        found = get(self._s3, self._bucket, self._layout.part(self._method, batch, index))
        part = found and sound(found.data, objects)
        if found and not part:
            log("damaged part", run=self._layout.run)
        return part


def sound(data: bytes, objects: Sequence[Mapping[str, Any]]) -> Sound | None:
    """Return what is in a part; None unless it is whole and its rows are those of exactly these objects.

    objects: entries of the plan, in the order of the rows.
    """
    try:
        head, lines = read_part(data)
        rows = [FoundRow(line, json.loads(line)) for line in lines]
        paths = [row.values["path"] for row in rows]
    except (ValueError, KeyError, TypeError):
        return None
    expected = [names.written(read_entry(entry).name) for entry in objects]
    return Sound(rows, head.seconds) if paths == expected else None
