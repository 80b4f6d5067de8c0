"""How large the picture in a file is, from its header alone. Nothing here is checked: the core does that.

It needs the standard library only, because the HTTP workers have no decoder.
"""

from __future__ import annotations

import struct

# An image up to this size has a slot of its own. Measuring it takes some 20 ms. A progressive JPEG with as many scans
# as the core allows takes 150 ms.
SMALL_PIXELS, SMALL_BYTES = 1 << 20, 1 << 20
# What comes before the frame header of a JPEG: a preview (64 KB), an ICC profile, texts. Each segment costs a turn.
MOST_SEGMENTS = 64
# Frame headers, SOF0 to SOF15, are all of C0 to CF but DHT, JPG and DAC. The segments that have a length come up to
# COM, but RST0 to EOI have none (ITU-T T.81, table B.1).
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
SEGMENTS = {*range(0xC0, 0xFF)} - {*range(0xD0, 0xDA)}
PREFIX = 0xFF


def is_small(image: bytes) -> bool:
    """Return whether an image is measured in a moment. A short file alone says nothing: 3 KB can be 64 megapixels."""
    count = pixels(image)
    return len(image) <= SMALL_BYTES and count is not None and count <= SMALL_PIXELS


def pixels(image: bytes) -> int | None:
    """Return width times height as the header tells; None if there is no header, or too much in front of it.

    What is neither PNG nor JPEG has no pixels: it is refused at once.
    """
    try:
        if image.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", image, 16)
        elif image.startswith(b"\xff\xd8\xff"):
            width, height = frame_size(image)
        else:
            return 0
    except (struct.error, LookupError):
        return None
    return int(width) * int(height)


def frame_size(image: bytes) -> tuple[int, int]:
    """Return width and height in the frame header of a JPEG. Raises struct.error or LookupError if it is not found."""
    position = 2
    for _ in range(MOST_SEGMENTS):
        prefix, marker, length = struct.unpack_from(">BBH", image, position)
        if prefix != PREFIX or marker not in SEGMENTS:
            break
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", image, position + 5)
            return width, height
        position += 2 + length
    raise LookupError("no frame header")
