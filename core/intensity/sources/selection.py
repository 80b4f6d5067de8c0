"""Which of the names that a source has are measured."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# The kinds of names that are left out; `summary.KINDS` has the words for people.
OTHER_NAMES = "other_names"
HIDDEN = "hidden"
HIDDEN_NAMES = "hidden_names"
LINKED_FOLDERS = "linked_folders"
VISITED_FOLDERS = "visited_folders"
EXCLUDED = "excluded"
FOLDER_MARKERS = "folder_markers"
DELETE_MARKERS = "delete_markers"
OLD_VERSIONS = "old_versions"
# The dot at the beginning of a part of a name.
DOT = re.compile(r"(?:^|(?<=/))\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which files of folders and which objects are measured.

    suffixes: the ends of names that are taken in a folder, a prefix and an inventory, in lower case, without the dot.
    include, exclude: patterns with `*`, `?` and `[...]` for the whole key, or the path below the folder; `*` also
    stands for slashes. What matches one of `exclude` is left out. With `include`, what matches one of these is taken,
    and suffixes do not count. hidden: also take names in which a part between slashes begins with a dot. all_versions:
    also take versions that are not the current one. skipped: counts, by kind, what was left out.
    """

    suffixes: frozenset[str]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    hidden: bool = False
    all_versions: bool = False
    skipped: Counter[str] = field(default_factory=Counter)

    def takes(self, name: str, size: int | None = None, prefix: str = "", *, named: bool = False) -> bool:
        """Return whether a key, or a path below a folder, is measured, and count it otherwise.

        prefix: the part of it that the user wrote; what is hidden in it was meant. named: a list names this very
        object, so its name need not say what it is.
        """
        kind = self._kind(name, size, prefix, named=named)
        if kind:
            self.skipped[kind] += 1
        return kind is None

    def _kind(self, name: str, size: int | None, prefix: str, *, named: bool) -> str | None:
        """Return why a name is left out; None if it is taken."""
        if name.endswith("/") and size == 0:
            return FOLDER_MARKERS
        if _matches(name, self.exclude) or (self.include and not _matches(name, self.include)):
            return EXCLUDED
        if named:
            return None
        if not self.hidden and DOT.search(name, len(prefix)):
            return HIDDEN_NAMES
        _, dot, suffix = name.rpartition("/")[2].rpartition(".")
        return None if self.include or (dot and suffix.lower() in self.suffixes) else OTHER_NAMES


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
