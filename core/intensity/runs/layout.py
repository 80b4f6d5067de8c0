"""Where everything of a run is in the bucket of results, and what its parts look like.

    runs/RUN/run.json               what was asked for, and what was found
    runs/RUN/plan.jsonl             every object that was listed, in batches: a line for each batch
    runs/RUN/results.jsonl          and .csv and .parquet: a row for each object, in the order of the plan
    runs/RUN/rows/                  the Parquet file again, in a folder of its own, as Athena wants it
    runs/RUN/summary.json           the sums; written last, so a run that has it is done
    work/RUN/todo-EXECUTION.jsonl   the batches that an execution measures, which the Distributed Map reads
    work/RUN/parts/METHOD/          the rows of a batch, 000017.jsonl, or of one object of it, 000017-042.jsonl
    work/RUN/map/                   what Step Functions writes about its children

What is in work/ goes after 30 days. METHOD is a digest of options and version, so rows of two methods never meet.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The name of an execution is the run's, and "_2" and so on for those that resume it.
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,59}")
RESULTS = ("results.jsonl", "results.csv", "results.parquet")
DESCRIPTION, PLAN, SUMMARY = "run.json", "plan.jsonl", "summary.json"


class RunError(Exception):
    """A sentence on why a run cannot be planned, measured or put together as it was asked for."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys of one run. Raises RunError for a name that no run can have."""

    run: str

    def __post_init__(self) -> None:
        """Check the name: it becomes a part of keys."""
        if not RUN_NAME.fullmatch(self.run):
            raise RunError(f"{self.run!r} is not the name of a run: up to 60 letters, digits and hyphens")

    @property
    def children(self) -> str:
        """The beginning of the keys that Step Functions writes."""
        return f"work/{self.run}/map"

    def result(self, name: str) -> str:
        """Return the key of one of the files that are kept."""
        return f"runs/{self.run}/{name}"

    def todo(self, execution: str) -> str:
        return f"work/{self.run}/todo-{execution}.jsonl"

    def parts(self, method: str) -> str:
        """Return the beginning of the keys of the parts that were measured with this method."""
        return f"work/{self.run}/parts/{method}/"

    def part(self, method: str, batch: int, index: int | None = None) -> str:
        """Return the key of a batch's part, or of the part of its object with this index."""
        return f"{self.parts(method)}{part_name(batch, index)}.jsonl"


def part_name(batch: int, index: int | None = None) -> str:
    """Return the name of a part: "000017" for a batch, "000017-042" for one object of it."""
    return f"{batch:06d}" if index is None else f"{batch:06d}-{index:03d}"


def read_part_name(key: str) -> tuple[int, int | None]:
    """Return the batch of a part, and the object of it, from the part's key. Raises ValueError."""
    found = re.fullmatch(r"(?:.*/)?(\d{6,})(?:-(\d{3,}))?\.jsonl", key)
    if not found:
        raise ValueError(f"{key} is not a part")
    return int(found[1]), None if found[2] is None else int(found[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first line of a part.

    rows: how many lines follow. codes: how many of these have which code. seconds: the time of the function, 0 for rows
    that an earlier run has measured. sha256: of the lines that follow.
    """

    rows: int
    codes: dict[str, int]
    seconds: float
    sha256: str


def write_part(lines: Sequence[str], codes: Mapping[str, int], seconds: float = 0.0) -> bytes:
    """Return a part: its head, and its lines, each with its line feed."""
    rows = "".join(lines).encode()
    head = Head(rows=len(lines), codes=dict(codes), seconds=seconds, sha256=hashlib.sha256(rows).hexdigest())
    return json.dumps(asdict(head)).encode() + b"\n" + rows


def read_head(data: bytes) -> Head:
    """Read the head at the beginning of a part. Raises ValueError and TypeError if there is none."""
    return Head(**json.loads(data.partition(b"\n")[0]))


def read_part(data: bytes) -> tuple[Head, list[bytes]]:
    """Return the head and the lines of a part. Raises ValueError or TypeError if it is not whole."""
    head, rows = read_head(data), data.partition(b"\n")[2]
    if hashlib.sha256(rows).hexdigest() != head.sha256:
        raise ValueError("these are not the rows that were written")
    return head, rows.splitlines(keepends=True)
