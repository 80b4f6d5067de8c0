"""JPEG: its structure, whether it is complete, and how it is decoded. Here is what needs no decoder."""

from __future__ import annotations

import struct

SIGNATURE = b"\xff\xd8\xff"
# What comes before the frame header: a preview (64 KB), an ICC profile, texts. Each segment costs time.
MOST_SEGMENTS = 64
# Frame headers, SOF0 to SOF15, are all of C0 to CF but DHT, JPG and DAC. The segments that have a length come up to
# COM, but RST0 to EOI have none (ITU-T T.81, table B.1).
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
SEGMENTS = {*range(0xC0, 0xFF)} - {*range(0xD0, 0xDA)}
PREFIX = 0xFF


def size(data: bytes) -> tuple[int, int]:
    """Return width and height in the frame header, unchecked. Raises struct.error or LookupError if it is not found."""
    position = 2
    for _ in range(MOST_SEGMENTS):
        prefix, marker, length = struct.unpack_from(">BBH", data, position)
        if prefix != PREFIX or marker not in SEGMENTS:
            break
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        position += 2 + length
    raise LookupError("no frame header")
