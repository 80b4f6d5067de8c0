"""Which of the objects that a source names are measured."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intensity.sources.objects import S3Object

# The kinds of objects that are left out, as the sums count them.
OTHER_NAMES = "other_names"
HIDDEN = "hidden_names"
EXCLUDED = "excluded"
FOLDER_MARKERS = "folder_markers"
DELETE_MARKERS = "delete_markers"
OLD_VERSIONS = "old_versions"
# The dot at the beginning of a part of a key.
DOT = re.compile(r"(?:^|(?<=/))\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which objects are measured.

    suffixes: the ends of names that are taken in a prefix and an inventory, in lower case, without the dot. include,
    exclude: patterns with `*`, `?` and `[...]` for the whole key; `*` also stands for slashes. What matches one of
    `exclude` is left out. With `include`, what matches one of these is taken, and suffixes do not count. hidden: also
    take keys in which a part between slashes begins with a dot. all_versions: also take versions that are not the
    current one. skipped: counts, by kind, what was left out.
    """

    suffixes: frozenset[str]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    all_versions: bool = False
    skipped: Counter[str] = field(default_factory=Counter)

    def takes(self, listed: S3Object, prefix: str = "", *, named: bool = False) -> bool:
        """Return whether an object is measured, and count it otherwise.

        prefix: the part of the key that the user wrote; what is hidden in it was meant. named: a list names this very
        object, so its name need not say what it is.
        """
        kind = self._kind(listed, prefix, named=named)
        if kind:
            self.skipped[kind] += 1
        return kind is None

    def _kind(self, listed: S3Object, prefix: str, *, named: bool) -> str | None:
        """Return why an object is left out; None if it is taken."""
        key = listed.key
        if key.endswith("/") and listed.size == 0:
            return FOLDER_MARKERS
        if _matches(key, self.exclude) or (self.include and not _matches(key, self.include)):
            return EXCLUDED
        if named:
            return None
        if not self.hidden and DOT.search(key, len(prefix)):
            return HIDDEN
        _, dot, suffix = key.rpartition("/")[2].rpartition(".")
        return None if self.include or (dot and suffix.lower() in self.suffixes) else OTHER_NAMES


def _matches(key: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)
