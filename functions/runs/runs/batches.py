"""Objects in batches: as many as one invocation can measure, and as fit into the input of a state."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from intensity.runs.estimate import BATCH_BYTES, BATCH_OBJECTS
from intensity.sources.objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# As JSON. A state's input has at most 256 KiB; what stands around the batch in it needs under 2 kB.
MOST_JSON_BYTES = 200_000
# Of an object whose source does not say its size: so that a hundred of them are a batch.
GUESSED_BYTES = BATCH_BYTES // BATCH_OBJECTS


class Packer:
    def __init__(self) -> None:
        self._entries: list[str] = []
        self._bytes = self._json_bytes = 0

    def add(self, listed: S3Object) -> list[str]:
        """Put an object into the batch. If it has no place there, return that batch and begin another one; else []."""
        entry = entry_of(listed, len(self._entries))
        full = self.take() if self._is_full_for(entry, listed) else []
        self._entries.append(entry_of(listed, 0) if full else entry)
        self._bytes += weight(listed)
        self._json_bytes += len(entry.encode()) + 2
        return full

    def take(self) -> list[str]:
        """Return the batch, which can be empty, and begin the next one."""
        taken, self._entries = self._entries, []
        self._bytes = self._json_bytes = 0
        return taken

    def _is_full_for(self, entry: str, listed: S3Object) -> bool:
        """Return whether an object, as JSON, needs another batch. An empty batch takes any one."""
        return bool(self._entries) and (
            len(self._entries) >= BATCH_OBJECTS
            or self._bytes + weight(listed) > BATCH_BYTES
            or self._json_bytes + len(entry.encode()) > MOST_JSON_BYTES
        )


def weight(listed: S3Object) -> int:
    return GUESSED_BYTES if listed.size is None else listed.size


def entry_of(listed: S3Object, index: int) -> str:
    """Return an object as JSON; `i` is its place in the batch."""
    return json.dumps({"i": index, **listed._asdict()}, ensure_ascii=False)


def read_entry(values: Mapping[str, Any]) -> S3Object:
    return S3Object(**{name: values[name] for name in S3Object._fields})


def batch_line(number: int, entries: Sequence[str], *, single: bool = False) -> str:
    """Return a batch as a line of the plan. single: it has one object, whose rows are a part of its own."""
    return f'{{"n": {number}, "single": {json.dumps(single)}, "objects": [{", ".join(entries)}]}}\n'
