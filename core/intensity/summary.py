"""Counts that add up: files with a number, files without one and why, and names that were left out."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# At most this many problems are listed at the end, so that it fits on a screen. The rows have all of them.
MOST_LISTED = 10
# A table has a row for each already. Of so few, the sentences follow it.
FEW = 3
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
# Why there is no number, in few words: by a part of the sentence, else by the code.
SENTENCES = {
    "cut short": re.compile(r"cut short|\bmissing\b.*\bdata\b|data is missing|rows are missing"),
    "arithmetic-coded": re.compile("arithmetic"),
    "of another format": re.compile("^The content of this file is not"),
}
REASONS = {
    "empty_file": "empty",
    "unsupported_format": "of a kind that is not measured",
    "corrupt_image": "damaged",
    "too_many_pixels": "above --max-pixels",
    "region_outside_image": "without all of the region",
    "file_missing": "not found",
    "file_unreadable": "unreadable",
    "not_a_file": "no file",
    "file_changed": "changed meanwhile",
    "file_too_large": "above --max-bytes",
    "object_missing": "not found",
    "object_changed": "changed meanwhile",
    "object_forbidden": "forbidden",
    "object_archived": "archived",
    "unsupported_encoding": "encoded",
    "processor_timeout": "above --timeout",
    "processor_failed": "failed",
}


def reason(code: str, detail: str = "") -> str:
    """Return why there is no number, in few words."""
    return next((words for words, part in SENTENCES.items() if part.search(detail)), REASONS.get(code, code))


@dataclass
class Counts:
    """The counts so far.

    noun: what is measured, file or object. total: files that need a row. measured: those that have a number, `before`
    of them from an earlier run. codes: the others that have a row, by code. reasons: likewise, in words. listed: the
    first of those, each as a line. skipped: what was not taken from folders, buckets and lists, by kind. foreign: rows
    of an earlier run for files that were not named in this one.
    """

    noun: str = "file"
    total: int = 0
    measured: int = 0
    before: int = 0
    foreign: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    listed: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, path: str, code: str | None, detail: str | None, *, before: bool = False) -> None:
        if not code:
            self.measured += 1
            self.before += before
            return
        self.codes[code] += 1
        self.reasons[reason(code, detail or "")] += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append(f"{path}: {detail}")

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

    def problem_lines(self, width: int | None, *, in_table: bool) -> Iterator[str]:
        """Yield the first problems, a line each. width: of the terminal, which would break longer lines."""
        few = self.problems <= FEW
        if in_table and not few:
            return
        for line in self.listed:
            yield f"  {line}" if few or not width or len(line) + 2 < width else f"  {line[: width - 4]}…"
        if self.problems > len(self.listed):
            yield f"  and {self.problems - len(self.listed):,} more"

    def lines(self, seconds: float) -> Iterator[str]:
        """Yield the sums."""
        yield from self._skipped_line()
        if not self.total:
            return
        if self.foreign:
            yield f"The results also have rows of {self.noun}s that were not named this time: {self.foreign:,}."
        parts = [f"{self.measured:,} measured" + (f" ({self.before:,} of them before)" if self.before else "")]
        if left := self.total - self.done:
            parts.append(f"{left:,} not reached")
        if self.problems:
            # Runs on AWS tell codes only.
            reasons = self.reasons or Counter({reason(code): number for code, number in self.codes.items()})
            told = ", ".join(f"{number:,} {words}" for words, number in reasons.most_common())
            parts.append(f"{self.problems:,} without a number: {told}")
        yield f"{self._all}: {'; '.join(parts)}. {seconds:.1f} seconds."

    def found_lines(self) -> Iterator[str]:
        """Yield what was found and left out."""
        yield from self._skipped_line()
        if self.total:
            yield f"{self._all} would be measured."

    def _skipped_line(self) -> Iterator[str]:
        kinds = (f"{number:,} {KINDS[kind][number > 1]}" for kind, number in self.skipped.most_common())
        sentences = [] if self.total else ["no images were found"]
        if self.skipped:
            sentences.append(f"not taken: {', '.join(kinds).format(noun=self.noun)}")
        if sentences:
            told = "; ".join(sentences)
            yield f"{told[0].upper()}{told[1:]}."

    @property
    def _all(self) -> str:
        return f"{self.total:,} {self.noun}{'s'[: self.total > 1]}"


@dataclass
class Averages:
    """The averages of all images that have one. The mean is exact, as each of them."""

    count: int = 0
    total: Fraction = Fraction()
    minimum: tuple[float, str] | None = None
    maximum: tuple[float, str] | None = None

    def add(self, average: float | None, path: str) -> None:
        if average is not None:
            self.count += 1
            self.total += Fraction(average)
            self.minimum = min((average, path), self.minimum or (average, path))
            self.maximum = max((average, path), self.maximum or (average, path))

    def lines(self, *, as_json: bool) -> Iterator[str]:
        """Yield a line for each value, with tabs between the cells: a name, the value, and the image that has it."""
        mean = float(self.total / self.count) if self.count else None
        least, most = self.minimum or (None, None), self.maximum or (None, None)
        if as_json:
            yield json.dumps({"count": self.count, "mean": mean, "minimum": least[0], "maximum": most[0]}) + "\n"
            return
        yield f"count\t{self.count}\n"
        if self.count:
            yield from (f"mean\t{mean}\n", f"minimum\t{least[0]}\t{least[1]}\n", f"maximum\t{most[0]}\t{most[1]}\n")
