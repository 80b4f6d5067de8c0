"""Counts that add up: files with a number, files without one and why, and names that were left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# At most this many problems are listed at the end. The rows have all of them.
MOST_LISTED = 20
# The kinds of names that were left out, in words: for one, and for several.
KINDS = {
    "other_names": ("{noun} with another name", "{noun}s with other names"),
    "hidden": ("hidden file or folder", "hidden files and folders"),
    "linked_folders": ("linked folder", "linked folders"),
    "visited_folders": ("folder a second time", "folders a second time"),
    "hidden_names": ("name that begins with a dot", "names that begin with a dot"),
    "excluded": ("excluded by a pattern", "excluded by patterns"),
    "folder_markers": ("folder marker", "folder markers"),
    "delete_markers": ("delete marker", "delete markers"),
    "old_versions": ("old version", "old versions"),
    "named_again": ("name a second time", "names a second time"),
}


@dataclass
class Counts:
    """The counts so far.

    noun: what is measured, file or object. total: files that need a row. measured: those that have a number, `before`
    of them from an earlier run. codes: the others that have a row, by code. listed: the first of those, each as a line.
    skipped: what was not taken from folders, buckets and lists, by kind. foreign: rows of an earlier run for files
    that were not named in this one.
    """

    noun: str = "file"
    total: int = 0
    measured: int = 0
    before: int = 0
    foreign: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    listed: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, path: str, code: str | None, detail: str | None, *, before: bool = False) -> None:
        if not code:
            self.measured += 1
            self.before += before
            return
        self.codes[code] += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(f"{path}: {code}: {detail}")

    @property
    def problems(self) -> int:
        """How many files have a row without a number."""
        return self.codes.total()

    @property
    def done(self) -> int:
        """How many files have a row."""
        return self.measured + self.problems

    @property
    def complete(self) -> bool:
        """Whether there were files, and all of them have a number."""
        return 0 < self.total == self.measured

    def values(self, seconds: float) -> dict[str, Any]:
        return {
            "total": self.total,
            "measured": self.measured,
            "measured_before": self.before,
            "problems": dict(self.codes.most_common()),
            "not_reached": self.total - self.done,
            "not_taken": dict(self.skipped),
            "seconds": round(seconds, 3),
        }

    def lines(self, seconds: float) -> Iterator[str]:
        yield self._first_line(seconds)
        if self.skipped:
            kinds = (f"{number:,} {KINDS[kind][number > 1]}" for kind, number in self.skipped.most_common())
            yield f"Not taken: {', '.join(kinds).format(noun=self.noun)}."
        if self.foreign:
            yield f"The results also have {self.foreign:,} rows of {self.noun}s that were not named this time."
        if self.codes:
            yield "Problems: " + ", ".join(f"{number:,} {code}" for code, number in self.codes.most_common()) + "."
        yield from (f"  {line}" for line in self.listed)
        # A run on AWS lists none.
        if 0 < len(self.listed) < self.problems:
            yield f"  and {self.problems - len(self.listed):,} more; each has a row in the results"

    def _first_line(self, seconds: float) -> str:
        if not self.total:
            return "No images were found."
        parts = [f"{self.measured:,} measured" + (f" ({self.before:,} of them before)" if self.before else "")]
        parts.append(f"{self.problems:,} with a problem")
        if left := self.total - self.done:
            parts.append(f"{left:,} not reached")
        return f"{self.total:,} {self.noun}{'s'[: self.total > 1]}: {', '.join(parts)}. {seconds:.1f} seconds."
