"""The files of a command line: named files, the files in folders, and lists of names."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from intensity.rows import FILE_UNREADABLE
from intensity.sources.errors import SourceError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from io import BufferedIOBase

# The kinds of files that are left out; `summary.KINDS` has the words for people.
OTHER_NAMES = "other_names"
HIDDEN = "hidden"
LINKED_FOLDERS = "linked_folders"
VISITED_FOLDERS = "visited_folders"
EXCLUDED = "excluded"
# Linux allows paths of 4,095 bytes, other systems fewer. With a longer line, the file is no list of names.
LONGEST_NAME = 65_536
LIST_BYTES = 65_536


class Found(NamedTuple):
    """A file or an object to measure, or a folder that cannot be read: then `problem` is a code and a sentence.

    etag, size: what a listing told of an object.
    """

    path: bytes
    problem: tuple[str, str] | None = None
    etag: str | None = None
    size: int | None = None


class Search(NamedTuple):
    """Which names in folders are measured. A file that is named itself may have any name: its content decides.

    suffixes: lower case, without the dot. skipped: counts of the others. include, exclude: patterns for the path below
    the folder, as in `selection`.
    """

    suffixes: frozenset[bytes]
    hidden: bool
    follow_links: bool
    skipped: Counter[str]
    include: tuple[bytes, ...] = ()
    exclude: tuple[bytes, ...] = ()

    def kind(self, entry: os.DirEntry[bytes], below: bytes, visited: set[tuple[int, int] | None] | None) -> str | None:
        """Return why a file is left out, or a folder where `visited` has those that were entered; None if it is not.

        below: its path below the folder that was named.
        """
        if entry.name.startswith(b".") and not self.hidden:
            return HIDDEN
        if visited is None:
            if _matches(below, self.exclude) or (self.include and not _matches(below, self.include)):
                return EXCLUDED
            _, dot, suffix = entry.name.rpartition(b".")
            return None if self.include or (dot and suffix.lower() in self.suffixes) else OTHER_NAMES
        if not self.follow_links:
            return LINKED_FOLDERS if entry.is_symlink() else None
        # With links, a folder can contain itself. So each real folder is entered once.
        identity = _identity(entry.path)
        if identity and identity in visited:
            return VISITED_FOLDERS
        visited.add(identity)
        return None


def find(name: bytes, search: Search) -> Iterator[Found]:
    """Yield the file `name`, or all files in the folder `name` and its folders, in the order of the file system."""
    if not os.path.isdir(name):
        yield Found(name)
        return
    folders, visited = [name], {_identity(name)}
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    is_folder = _is_folder(entry)
                    below = entry.path[len(os.path.join(name, b"")) :]
                    if kind := search.kind(entry, below, visited if is_folder else None):
                        search.skipped[kind] += 1
                    elif is_folder:
                        folders.append(entry.path)
                    else:
                        yield Found(entry.path)
        except OSError as error:
            yield Found(folder, (FILE_UNREADABLE, f"The folder cannot be read: {error.strerror}."))


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Return whether this is a folder or a link to one; False if that cannot be found out."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _matches(path: bytes, patterns: tuple[bytes, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _identity(folder: bytes) -> tuple[int, int] | None:
    """Return the identity of a folder, which is the same for all paths to it; None if it cannot be reached."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def listed(file: BufferedIOBase, separator: bytes) -> Iterator[bytes]:
    """Yield the names in a list, separated by line feeds or NULs. Empty names are left out.

    Raises SourceError where it cannot be a list of names, and OSError where it cannot be read.
    """
    rest, block = b"", b"."
    while block:
        block = file.read1(LIST_BYTES)
        *names, rest = (rest + block).split(separator)
        for name in names if block else [*names, rest]:
            if b"\0" in name:
                raise SourceError("it has NUL bytes; --null reads names that are separated by them")
            if name:
                yield name
        if len(rest) > LONGEST_NAME:
            raise SourceError("it is not a list of names: one is longer than 65,536 bytes")
