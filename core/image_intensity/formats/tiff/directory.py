"""The directories of a TIFF file (TIFF 6.0, section 2) or BigTIFF: one for each page, with tags in ascending order."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.tiff.picture import corrupt

BIG = 43
# Each page costs time in Python, however few bytes it has, and so does each tag.
MAX_PAGES = 100_000
MAX_TAGS = 0xFFFF
# The types of whole numbers as `struct` has them: BYTE, SHORT, LONG and LONG8.
NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
# Types of bytes that are kept as they are: BYTE and UNDEFINED.
BYTES = {1, 7}


class Entry(NamedTuple):
    """A tag of a directory: the type of its values, how many there are, and where they would be if they fit in."""

    kind: int
    values: int
    place: int


class Shape(NamedTuple):
    """How a directory is laid out: its number of tags, a tag, the bytes of values that fit into one, and an offset."""

    tags: str
    entry: str
    inline: int
    offset: str


CLASSIC, LARGE = Shape("H", "HHI", 4, "I"), Shape("Q", "HHQ", 8, "Q")


@dataclass(slots=True)
class Directory:
    """The first directory of a file.

    order: of bytes, as in `struct`. entries: by tag. following: where the place of the next directory is.
    """

    data: bytes
    order: str = "<"
    shape: Shape = CLASSIC
    entries: dict[int, Entry] = field(default_factory=dict)
    following: int = 0

    def numbers(self, tag: int, most: int) -> list[int]:
        """Return the values of a tag, none if it is missing. Raises CorruptImage for more than `most`."""
        entry = self.entries.get(tag)
        if entry is None:
            return []
        if entry.kind not in NUMBERS or not 0 < entry.values <= most:
            corrupt(f"its tag {tag} is not valid")
        form = f"{self.order}{entry.values}{NUMBERS[entry.kind]}"
        return [*struct.unpack(form, self.read(entry, struct.calcsize(form)))]

    def number(self, tag: int, default: int | None = None) -> int:
        """Return the only value of a tag. Raises CorruptImage if it is missing without a default."""
        found = self.numbers(tag, 1)
        if found:
            return found[0]
        if default is None:
            corrupt(f"its tag {tag} is missing")
        return default

    def content(self, tag: int, most: int) -> bytes:
        """Return the bytes of a tag, none if it is missing. Raises CorruptImage for more than `most`."""
        entry = self.entries.get(tag)
        if entry is None:
            return b""
        if entry.kind not in BYTES or entry.values > most:
            corrupt(f"its tag {tag} is not valid")
        return self.read(entry, entry.values)

    def read(self, entry: Entry, length: int) -> bytes:
        place = entry.place
        if length > self.shape.inline:
            (place,) = self.unpack(self.shape.offset, place)
        if place + length > len(self.data):
            corrupt("it is cut short")
        return self.data[place : place + length]

    def unpack(self, form: str, place: int) -> tuple[int, ...]:
        """Return the numbers at a place. Raises CorruptImage if the file ends before them."""
        try:
            return struct.unpack_from(self.order + form, self.data, place)
        except (struct.error, OverflowError):
            corrupt("it is cut short")


def read_directory(data: bytes) -> Directory:
    """Read the first directory of a file that starts with one of the signatures.

    Raises CorruptImage when the file ends before it does, or its tags are out of order: a tag that has changed is taken
    for another one.
    """
    found = Directory(data, ">" if data.startswith(b"MM") else "<")
    (version, first) = found.unpack("HI", 2)
    if version == BIG:
        found.shape = LARGE
        size, reserved, first = found.unpack("HHQ", 4)
        if (size, reserved) != (8, 0):
            corrupt("its header is not valid")
    if not first:
        corrupt("it has no page")
    tags, found.following = extent(found, first)
    read_entries(found, first, tags)
    return found


def count_pages(found: Directory) -> int:
    """Return the number of directories in the file.

    Raises CorruptImage when they are in a circle, or the file ends before one does; UnsupportedFormat for too many.
    """
    (place,) = found.unpack(found.shape.offset, found.following)
    seen: set[int] = set()
    while place:
        if place in seen:
            corrupt("its pages are in a circle")
        if len(seen) + 1 == MAX_PAGES:
            raise UnsupportedFormat(f"This TIFF has more than {MAX_PAGES:,} pages. Save the first one alone.")
        seen.add(place)
        _, following = extent(found, place)
        (place,) = found.unpack(found.shape.offset, following)
    return len(seen) + 1


def extent(found: Directory, start: int) -> tuple[int, int]:
    """Return how many tags the directory at `start` has, and where they end."""
    (tags,) = found.unpack(found.shape.tags, start)
    if not 0 < tags <= MAX_TAGS:
        corrupt("a page of it is not valid")
    return tags, start + struct.calcsize(found.shape.tags) + tags * entry_bytes(found.shape)


def entry_bytes(shape: Shape) -> int:
    """Return the bytes of a tag with its values, or their place."""
    return struct.calcsize(f"<{shape.entry}") + shape.inline


def read_entries(found: Directory, start: int, tags: int) -> None:
    size, shape = entry_bytes(found.shape), found.shape
    places = range(start + struct.calcsize(shape.tags), len(found.data), size)[:tags]
    previous = 0
    for place in places:
        tag, kind, count = found.unpack(shape.entry, place)
        if tag <= previous:
            corrupt("its tags are out of order")
        found.entries[tag] = Entry(kind, count, place + size - shape.inline)
        previous = tag
