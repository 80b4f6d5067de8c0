"""The headers of a lossy picture in a WebP file: a key frame of VP8 (RFC 6386, sections 9 and 19.2)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from image_intensity import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

# Three bytes of tag, three of start code, two each of width and height.
HEAD = 10
START_CODE = b"\x9d\x01\x2a"
PROFILES = 4
# A side has 14 bits. Two more would scale it, which no program does.
SIDE = (1 << 14) - 1
SEGMENTS, PROBABILITIES, DELTAS = 4, 3, 8
QUANTIZER_BITS, STRENGTH_BITS, PROBABILITY_BITS, DELTA_BITS = 7, 6, 8, 6
FILTER_BITS = 1 + 6 + 3
SIZE_BYTES = 3

corrupt = partial(errors.corrupt, "WebP")


class Bools:
    """Reads bits of even probability that are coded arithmetically (RFC 6386, section 7.3)."""

    def __init__(self, data: memoryview) -> None:
        """Start with the first bytes of a partition; behind its end there are zeros."""
        self.data: Iterator[int] = iter(data)
        self.value = next(self.data, 0) << 8 | next(self.data, 0)
        self.range, self.shifted = 255, 0

    def bit(self) -> int:
        split = (self.range + 1) // 2
        one = self.value >= split << 8
        if one:
            self.value -= split << 8
        self.range = self.range - split if one else split
        while self.range < 128:  # noqa: PLR2004 - as in the RFC
            self.value, self.range, self.shifted = self.value << 1, self.range << 1, self.shifted + 1
            if self.shifted == 8:  # noqa: PLR2004 - as in the RFC
                self.value, self.shifted = self.value | next(self.data, 0), 0
        return int(one)

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | self.bit()
        return value

    def optional(self, number: int, bits: int) -> None:
        """Pass over numbers of so many bits, each with a bit before it that tells whether it is there."""
        for _ in range(number):
            if self.bit():
                self.number(bits)


def read_lossy(content: memoryview) -> tuple[int, int]:
    """Check the headers of a picture and that all its partitions are there. Return its width and height."""
    if len(content) <= HEAD:
        corrupt("its picture is cut short")
    tag = int.from_bytes(content[:3], "little")
    # A bit of 0 for a key frame, three of profile, a bit of 1 for a frame that is shown, and the size of a partition.
    profile, shown, first = tag >> 1 & 7, tag >> 4 & 1, tag >> 5
    width, height = (int.from_bytes(content[place : place + 2], "little") & SIDE for place in (6, 8))
    if tag & 1 or profile >= PROFILES or not shown or content[3:6] != START_CODE or not width or not height:
        corrupt("the header of its picture is not valid")
    rest = content[HEAD + first :]
    tables = SIZE_BYTES * (partitions(Bools(content[HEAD : HEAD + first])) - 1)
    sizes = [int.from_bytes(rest[place : place + SIZE_BYTES], "little") for place in range(0, tables, SIZE_BYTES)]
    # The last partition is as long as what is left.
    if tables + sum(sizes) >= len(rest):
        corrupt("a partition of its picture is cut short")
    return width, height


def partitions(header: Bools) -> int:
    """Return how many partitions the coefficients are in, from the frame header."""
    # Color space and clamping.
    header.number(2)
    if header.bit():
        map_changes, values_change = header.bit(), header.bit()
        if values_change:
            header.bit()
            header.optional(SEGMENTS, QUANTIZER_BITS + 1)
            header.optional(SEGMENTS, STRENGTH_BITS + 1)
        if map_changes:
            header.optional(PROBABILITIES, PROBABILITY_BITS)
    header.number(FILTER_BITS)
    if header.bit() and header.bit():
        header.optional(DELTAS, DELTA_BITS + 1)
    return 1 << header.number(2)
