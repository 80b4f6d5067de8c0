"""Objects in batches: as many as one invocation can measure, and as fit into the input of a state."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intensity.runs.estimate import BATCH_BYTES, BATCH_OBJECTS
from intensity.sources.objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# As JSON. A state's input has at most 256 KiB; what stands around the batch in it needs under 2 kB.
MOST_JSON_BYTES = 200_000
# Of an object whose source does not say its size: so that a hundred of them are a batch.
GUESSED_BYTES = BATCH_BYTES // BATCH_OBJECTS


@dataclass(slots=True)
class Batch:
    """entries: the objects as JSON. rows: those of an earlier run, of all of them or of none."""

    entries: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    bytes: int = 0
    json_bytes: int = 0

    def add(self, listed: S3Object, row: str | None) -> bool:
        """Put an object into the batch. Return False if it has no place there; an empty batch takes any one."""
        entry, size = entry_of(listed, len(self.entries)), GUESSED_BYTES if listed.size is None else listed.size
        json_bytes = self.json_bytes + len(entry.encode()) + 2
        if self.entries and (
            len(self.entries) >= BATCH_OBJECTS or self.bytes + size > BATCH_BYTES or json_bytes > MOST_JSON_BYTES
        ):
            return False
        self.entries.append(entry)
        self.bytes, self.json_bytes = self.bytes + size, json_bytes
        if row is not None:
            self.rows.append(row)
        return True


def packed(found: Iterable[tuple[S3Object, str | None]]) -> Iterator[Batch]:
    """Yield objects with their earlier rows, if they have any, in batches: those with a row, and those without."""
    waiting = {True: Batch(), False: Batch()}
    for listed, row in found:
        kind = row is not None
        if not waiting[kind].add(listed, row):
            yield waiting[kind]
            waiting[kind] = Batch()
            waiting[kind].add(listed, row)
    yield from (batch for batch in waiting.values() if batch.entries)


def entry_of(listed: S3Object, index: int) -> str:
    """Return an object as JSON; `i` is its place in the batch."""
    return json.dumps({"i": index, **listed._asdict()}, ensure_ascii=False)


def read_entry(values: Mapping[str, Any]) -> S3Object:
    return S3Object(**{name: values[name] for name in S3Object._fields})


def batch_line(number: int, entries: Sequence[str], *, single: bool = False) -> str:
    """Return a batch as a line of the plan. single: it has one object, whose rows are a part of its own."""
    return f'{{"n": {number}, "single": {json.dumps(single)}, "objects": [{", ".join(entries)}]}}\n'
