"""WebP: its structure, and how it is decoded. Here is what needs no decoder."""

from __future__ import annotations

import struct

SIGNATURE = {0: b"RIFF", 8: b"WEBP"}
# Where the first chunk is.
FIRST = 12


def size(data: bytes) -> tuple[int, int]:
    """Return width and height in the first header, unchecked. Raises struct.error or LookupError if it is not there."""
    kind = data[FIRST : FIRST + 4]
    if kind == b"VP8X":
        low, high = struct.unpack_from("<HI", data, FIRST + 12)
        return 1 + (low | (high & 0xFF) << 16), 1 + (high >> 8)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, FIRST + 9)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, FIRST + 14)
        return width & 0x3FFF, height & 0x3FFF
    raise LookupError("no picture")
