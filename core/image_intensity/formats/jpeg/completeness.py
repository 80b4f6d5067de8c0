"""Whether a JPEG file has all of its scans, all of their coded data and all restart markers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.jpeg.picture import (
    COEFFICIENTS,
    DATA_BYTES,
    FILL,
    PROGRESSIVE,
    RST0,
    UNSEEN,
    corrupt,
)

if TYPE_CHECKING:
    from image_intensity.formats.jpeg.picture import Jpeg

# A scan costs a pass over all blocks of its components, however few bytes it has. Encoders write about ten scans;
# libvips allows 100.
MAX_SCANS = 100
# Most of that time is spent on each coefficient that a scan refines. Encoders write each one in up to four scans.
MAX_PASSES = 10
# A scan header before and after its components.
SCAN_BYTES = 4
# A scan header that names no coefficients, and after it another zero, or the end of one that names all. Then it is not
# as it was written: bytes were added to it, or are zeros now.
BLANK = re.compile(rb"\0\0\0(\0|\x3f\0)")
RESTART_MASK, RESTARTS = 0xF8, bytes(range(0xD0, 0xD8))


def add_scan(picture: Jpeg, segment: bytes) -> None:
    """Read a scan header, SOS (T.81, B.2.3), and note which bits of the coefficients it has (G.1.1.1)."""
    if not picture.frame:
        corrupt("it has a scan before its frame header")
    components = components_of(picture, segment[1:-3:2])
    if not components or len(segment) != SCAN_BYTES + 2 * segment[0]:
        corrupt("a scan header is not valid")
    picture.scans.append(components)
    first, last, bits = segment[-3:]
    high_bit, low_bit = bits >> 4, bits & 0x0F
    if picture.frame != PROGRESSIVE:
        first, last, high_bit, low_bit = 0, COEFFICIENTS - 1, 0, 0
    for component in components:
        known = picture.low_bits[component]
        if not {*known[first : last + 1]} <= ({high_bit} if high_bit else {0, UNSEEN}):
            corrupt("some of its scans are missing")
        known[first : last + 1] = bytes([low_bit]) * (last + 1 - first)
        picture.passes += picture.mcus((component,)) * (last + 1 - first)
    check_scans(picture)


def components_of(picture: Jpeg, ids: bytes) -> tuple[int, ...]:
    """Return the components with these ids; none if one is unknown.

    Ids that components share can only be told apart by their order, in a scan of all of them.
    """
    if ids == picture.ids:
        return tuple(range(len(ids)))
    known = dict(zip(picture.ids, range(len(picture.ids)), strict=True))
    clear = len(known) == len(picture.ids) and known.keys() >= {*ids}
    return tuple(known[each] for each in ids) if clear else ()


def check_scans(picture: Jpeg) -> None:
    """Raise UnsupportedFormat for too many scans, or for scans that repeat the same coefficients too often."""
    if len(picture.scans) > MAX_SCANS:
        raise UnsupportedFormat(f"This JPEG has more than {MAX_SCANS} scans.")
    if picture.passes > MAX_PASSES * COEFFICIENTS * sum(picture.mcus((component,)) for component in picture.components):
        raise UnsupportedFormat(f"The scans of this JPEG go over its pixels more than {MAX_PASSES} times.")


def keep_coded_data(picture: Jpeg, data: bytes, start: int) -> int:
    """Keep the entropy-coded data of the last scan, which begins at `start`, and return where it ends.

    Raises CorruptImage unless it ends and has the restart markers that were announced, RST0 to RST7 in turn (T.81,
    E.1.4). Further ones directly behind the data are left out: some cameras write one. So are the fill bytes in front
    of markers (B.1.1.2).
    """
    if picture.frame != PROGRESSIVE and BLANK.match(data, start - 3):
        corrupt("a scan header is not valid")
    interval = picture.restart_interval
    announced = (picture.mcus(picture.scans[-1]) - 1) // interval if interval else 0
    end, restarts, filled = walk(data, start, announced)
    content = (without_fill_bytes(data[start:end]) if filled else data[start:end]).removesuffix(FILL)
    if restarts > announced:
        surplus = content[2 * (announced - restarts) :]
        if surplus[::2].strip(FILL) or surplus[1::2].strip(RESTARTS):
            corrupt("its restart markers are missing or out of order")
        content = content[: -len(surplus)]
    picture.restarts += announced
    first = len(picture.essentials)
    picture.essentials += content
    picture.data.append((first, len(picture.essentials)))
    return end


def without_fill_bytes(data: bytes) -> bytes:
    """Return coded data with each run of 0xFF reduced to one."""
    values = np.frombuffer(data, np.uint8)
    kept = values != FILL[0]
    kept[:-1] |= kept[1:]
    kept[-1:] = True
    return bytes(values[kept])


def walk(data: bytes, start: int, announced: int) -> tuple[int, int, bool]:
    """Return where the coded data that begins at `start` ends, its restart markers, and whether it has fill bytes.

    Raises CorruptImage unless it ends, and its first `announced` restart markers are there and in turn. NumPy looks for
    them, because a hostile file can have millions of markers and fill bytes.
    """
    restarts, in_turn, filled = 0, True, False
    values = np.frombuffer(data, np.uint8)
    for begin in range(start, len(data), DATA_BYTES):
        piece = values[begin : begin + DATA_BYTES + 1]
        found = np.flatnonzero(piece[:-1] == FILL[0])
        behind = piece[1:][found]
        # Every other marker ends the data; only a stuffed zero, a restart marker and a fill byte do not.
        ending = np.flatnonzero((behind != 0) & (behind & RESTART_MASK != RST0) & (behind != FILL[0]))
        if ending.size:
            behind = behind[: ending[0]]
        numbers = behind[behind & RESTART_MASK == RST0] - RST0
        turns = numbers[: max(0, announced - restarts)]
        in_turn &= bool((turns == np.arange(restarts, restarts + turns.size) & 7).all())
        restarts += numbers.size
        filled |= bool((behind == FILL[0]).any())
        if ending.size:
            break
    else:
        corrupt("it is cut short")
    if not in_turn or restarts < announced:
        corrupt("its restart markers are missing or out of order")
    return begin + int(found[ending[0]]), restarts, filled


def has_all_scans(picture: Jpeg) -> bool:
    """Return whether the scans have every bit of every coefficient of every component."""
    return not any(any(picture.low_bits[component][:COEFFICIENTS]) for component in picture.components)
