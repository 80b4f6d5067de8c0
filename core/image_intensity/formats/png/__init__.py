"""PNG: its structure, its rows and how they are decoded. Here is what needs no decoder."""

from __future__ import annotations

import struct

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def size(data: bytes) -> tuple[int, int]:
    """Return width and height in IHDR, unchecked. Raises struct.error if they are not there."""
    width, height = struct.unpack_from(">II", data, 16)
    return width, height
