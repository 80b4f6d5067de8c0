"""How large the picture in a file is, from its header alone. Nothing here is checked: the core does that."""

from __future__ import annotations

import struct

from image_intensity import FORMATS, detect

# An image up to this size has a slot of its own. Measuring it takes some 20 ms. A progressive JPEG with as many scans
# as the core allows takes 150 ms.
SMALL_PIXELS, SMALL_BYTES = 1 << 20, 1 << 20


def is_small(image: bytes) -> bool:
    """Return whether an image is measured in a moment. A short file alone says nothing: 3 KB can be 64 megapixels."""
    count = pixels(image)
    return len(image) <= SMALL_BYTES and count is not None and count <= SMALL_PIXELS


def pixels(image: bytes) -> int | None:
    """Return width times height as the header tells; None if there is no header, or too much in front of it.

    What is of no known format has no pixels: it is refused at once.
    """
    image_format = detect(image)
    if image_format is None:
        return 0
    try:
        width, height = FORMATS[image_format].size(image)
    except (struct.error, LookupError):
        return None
    return width * height
