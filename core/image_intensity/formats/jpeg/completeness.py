"""Whether a JPEG file has all of its scans, all of their coded data and all restart markers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.jpeg.picture import COEFFICIENTS, FILL, PROGRESSIVE, RST0, UNSEEN, corrupt

if TYPE_CHECKING:
    from image_intensity.formats.jpeg.picture import Jpeg

# Every scan of a progressive JPEG costs a pass over all pixels, however few bytes it has, so the limit on pixels does
# not bound the work. Encoders write about ten; libvips allows 100.
MAX_SCANS = 100
# So 200 million pixels may have 11 scans (libjpeg writes 10), 120 million CMYK pixels 18 (as libjpeg writes them), and
# 22 million pixels all 100. That is 3 s of work (docs/decisions/limits.md).
MAX_SCAN_PIXELS = 2_200_000_000
RESTART_MASK = 0xF8
# How much coded data is looked at in one go: there may be a restart marker in every other byte.
DATA_BYTES = 1 << 18


def add_scan(picture: Jpeg, segment: bytes) -> None:
    """Read a scan header, SOS (T.81, B.2.3), and what it adds to the coefficients (G.1.1.1)."""
    if not picture.frame:
        corrupt("it has a scan before its frame header")
    try:
        components = tuple(segment[1 + 2 * index] for index in range(segment[0]))
        first, last, bits = struct.unpack_from("BBB", segment, 1 + 2 * len(components))
    except (struct.error, IndexError):
        corrupt("a scan header is not valid")
    if not components or not picture.sampling.keys() >= {*components}:
        corrupt("a scan header is not valid")
    picture.scans.append(components)
    check_scans(picture)
    high_bit, low_bit = bits >> 4, bits & 0x0F
    if picture.frame != PROGRESSIVE:
        first, last, high_bit, low_bit = 0, COEFFICIENTS - 1, 0, 0
    for component in components:
        known = picture.low_bits[component]
        if not {*known[first : last + 1]} <= ({high_bit} if high_bit else {0, UNSEEN}):
            corrupt("some of its scans are missing")
        known[first : last + 1] = bytes([low_bit]) * (last + 1 - first)


def check_scans(picture: Jpeg) -> None:
    """Raise UnsupportedFormat for too many scans: each costs a pass over the image."""
    width, height = picture.size
    most = min(MAX_SCANS, max(len(picture.sampling), MAX_SCAN_PIXELS // (width * height)))
    if len(picture.scans) > most:
        detail = f"This JPEG has more than {most} scans, more than are measured at this size."
        raise UnsupportedFormat(detail)


def keep_coded_data(picture: Jpeg, data: bytes, start: int) -> int:
    """Keep the entropy-coded data of the last scan, which begins at `start`, and return where it ends.

    Raises CorruptImage unless it ends and has the restart markers that were announced, RST0 to RST7 in
    turn (T.81, E.1.4). The data is kept without the fill bytes in front of markers (B.1.1.2). NumPy looks for both,
    because a hostile file can have millions of them.
    """
    interval = picture.restart_interval
    announced = (picture.mcus(picture.scans[-1]) - 1) // interval if interval else 0
    restarts, in_turn, filled, end = 0, True, False, None
    values = np.frombuffer(data, np.uint8)
    for begin in range(start, len(data), DATA_BYTES):
        piece = values[begin : begin + DATA_BYTES + 1]
        found = np.flatnonzero(piece[:-1] == FILL[0])
        behind = piece[1:][found]
        # Anything else than a stuffed zero, a restart marker or a fill byte ends the data.
        ending = np.flatnonzero((behind != 0) & (behind & RESTART_MASK != RST0) & (behind != FILL[0]))
        if ending.size:
            end = begin + int(found[ending[0]])
            behind = behind[: ending[0]]
        numbers = behind[behind & RESTART_MASK == RST0] - RST0
        in_turn &= bool((numbers == np.arange(restarts, restarts + numbers.size) & 7).all())
        restarts += numbers.size
        filled |= bool((behind == FILL[0]).any())
        if end is not None:
            break
    if end is None:
        corrupt("it is cut short")
    if not in_turn or restarts != announced:
        corrupt("its restart markers are missing or out of order")
    content = data[start:end]
    while filled and FILL * 2 in content:
        content = content.replace(FILL * 2, FILL)
    first = len(picture.essentials)
    picture.essentials += content.removesuffix(FILL)
    picture.data.append((first, len(picture.essentials)))
    return end


def has_all_scans(picture: Jpeg) -> bool:
    """Tell whether the scans bring every coefficient of every component down to its last bit."""
    return not any(any(picture.low_bits[component][:COEFFICIENTS]) for component in picture.sampling)
