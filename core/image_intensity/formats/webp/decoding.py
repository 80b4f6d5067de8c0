"""The pixels of a WebP whose structure has been read. Pillow makes them, with libwebp.

libwebp does not tell whether bytes are left at the end of a coded part, and has a part whose end is missing pass where
it needs no more bits. So each part must not decode without its last bytes: then it ends where its codes end.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from image_intensity.errors import CorruptImage
from image_intensity.formats.webp.lossy import corrupt
from image_intensity.formats.webp.structure import (
    COMPRESSED,
    LOSSLESS_HEAD,
    LOSSLESS_SIGNATURE,
    SIDE_BITS,
    chunk,
    file_of,
)
from image_intensity.pixels import Pixels, from_image, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_intensity.formats.webp.structure import WebP
    from image_intensity.options import Region

# libwebp reads ahead, and needs up to 5 bytes less than encoders write.
TAIL = 6


def decode(picture: WebP, region: Region | None = None) -> Pixels:
    """Return the pixels, or those of a region. Raises CorruptImage unless the codes fill their parts."""
    # libwebp reports a lack of memory as damage; NumPy raises MemoryError.
    np.empty(picture.decoded_bytes, np.uint8)
    for part in without_tails(picture):
        if decodes(part):
            corrupt("bytes of its coded data are changed, or too many")
    return from_image(load(io.BytesIO(picture.essentials()), "WEBP"), region)


def without_tails(picture: WebP) -> Iterator[bytes]:
    """Yield each coded part of the first frame as a file of its own, without its last bytes."""
    width, height = picture.frame_size
    for kind, content in picture.parts.items():
        if kind != b"ALPH":
            yield file_of(chunk(kind, content[:-TAIL]))
        elif content[0] & 3 == COMPRESSED:
            # It is a lossless picture that lacks its header.
            head = LOSSLESS_HEAD.pack(LOSSLESS_SIGNATURE, width - 1 | height - 1 << SIDE_BITS)
            yield file_of(chunk(b"VP8L", head + content[1:-TAIL]))


def decodes(file: bytes) -> bool:
    try:
        load(io.BytesIO(file), "WEBP")
    except CorruptImage:
        return False
    return True
