"""The files of a command line: named files, the files in folders, and lists of names."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, NamedTuple

from intensity.rows import FILE_UNREADABLE

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator

# The kinds of files that are left out; `summary.KINDS` has the words for people.
OTHER_NAMES = "other_names"
HIDDEN = "hidden"
LINKED_FOLDERS = "linked_folders"
VISITED_FOLDERS = "visited_folders"
# Linux allows paths of 4,095 bytes, other systems fewer. With a longer line, the file is no list of names.
LONGEST_NAME = 65_536
LIST_BYTES = 65_536


class ListError(ValueError):
    """The file is no list of names."""


class Found(NamedTuple):
    """A file or an object to measure, or a folder that cannot be read: then `problem` is a code and a sentence.

    etag, size: what a listing told of an object.
    """

    path: bytes
    problem: tuple[str, str] | None = None
    etag: str | None = None
    size: int | None = None


class Search(NamedTuple):
    """Which names in folders are measured. suffixes: lower case, without the dot. skipped: counts of the others.

    A file that is named itself may have any name: its content decides.
    """

    suffixes: frozenset[bytes]
    hidden: bool
    follow_links: bool
    skipped: Counter[str]


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
                    if not _is_folder(entry):
                        yield from _file(entry, search)
                    elif _enters(entry, search, visited):
                        folders.append(entry.path)
        except OSError as error:
            yield Found(folder, (FILE_UNREADABLE, f"The folder cannot be read: {error.strerror}."))


def _file(entry: os.DirEntry[bytes], search: Search) -> Iterator[Found]:
    """Yield a name that is not a folder if it is to be measured. Otherwise count it."""
    if entry.name.startswith(b".") and not search.hidden:
        search.skipped[HIDDEN] += 1
    elif entry.name.rpartition(b".")[2].lower() not in search.suffixes or b"." not in entry.name:
        search.skipped[OTHER_NAMES] += 1
    else:
        yield Found(entry.path)


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Return whether this is a folder or a link to one; False if that cannot be found out."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _enters(entry: os.DirEntry[bytes], search: Search, visited: set[tuple[int, int] | None]) -> bool:
    """Return whether the search goes into a folder; count it otherwise."""
    if entry.name.startswith(b".") and not search.hidden:
        search.skipped[HIDDEN] += 1
        return False
    if not search.follow_links:
        if entry.is_symlink():
            search.skipped[LINKED_FOLDERS] += 1
        return not entry.is_symlink()
    # With links, a folder can contain itself. So each real folder is visited once.
    identity = _identity(entry.path)
    if identity and identity in visited:
        search.skipped[VISITED_FOLDERS] += 1
        return False
    visited.add(identity)
    return True


def _identity(folder: bytes) -> tuple[int, int] | None:
    """Return the identity of a folder, which is the same for all paths to it; None if it cannot be reached."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def listed(file: IO[bytes], separator: bytes) -> Iterator[bytes]:
    """Yield the names in a list, separated by line feeds or NULs. Empty names are left out.

    Raises ListError where it cannot be a list of names, and OSError where it cannot be read.
    """
    rest = b""
    while block := file.read1(LIST_BYTES) if hasattr(file, "read1") else file.read(LIST_BYTES):
        *names, rest = (rest + block).split(separator)
        yield from _checked(names)
        if len(rest) > LONGEST_NAME:
            raise ListError("it is not a list of names: one is longer than 65,536 bytes")
    yield from _checked([rest])


def _checked(names: Iterable[bytes]) -> Iterator[bytes]:
    for name in names:
        if b"\0" in name:
            raise ListError("it has NUL bytes; --null reads names that are separated by them")
        if name:
            yield name
