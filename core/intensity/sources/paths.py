"""The files of a command line: named files, the files in folders, and lists of names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from intensity.rows import FILE_UNREADABLE
from intensity.sources.errors import SourceError
from intensity.sources.selection import HIDDEN, LINKED_FOLDERS, VISITED_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase

    from intensity.sources.selection import Selection

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


def find(name: bytes, selection: Selection, *, follow_links: bool) -> Iterator[Found]:
    """Yield the file `name`, or all files in the folder `name` and its folders, in the order of the file system.

    A file that is named itself may have any name: its content decides.
    """
    if not os.path.isdir(name):
        yield Found(name)
        return
    folders, visited, beginning = [name], set[tuple[int, int]](), len(os.path.join(name, b""))
    while folders:
        folder = folders.pop()
        try:
            if follow_links and not _first_time(folder, visited):
                selection.skipped[VISITED_FOLDERS] += 1
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    is_folder = _is_folder(entry)
                    if entry.name.startswith(b".") and not selection.hidden:
                        selection.skipped[HIDDEN] += 1
                    elif is_folder and entry.is_symlink() and not follow_links:
                        selection.skipped[LINKED_FOLDERS] += 1
                    elif is_folder:
                        folders.append(entry.path)
                    elif selection.takes(os.fsdecode(entry.path[beginning:])):
                        yield Found(entry.path)
        except OSError as error:
            yield Found(folder, (FILE_UNREADABLE, f"The folder cannot be read: {error.strerror}."))


def _first_time(folder: bytes, visited: set[tuple[int, int]]) -> bool:
    """Add a folder to those that were visited: with links, one can contain itself. Return False if it was there."""
    status, before = os.stat(folder), len(visited)
    visited.add((status.st_dev, status.st_ino))
    return len(visited) > before


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    """Return whether this is a folder or a link to one; False if that cannot be found out."""
    try:
        return entry.is_dir()
    except OSError:
        return False


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
