"""Whether a CMYK JPEG is cut short, where no decoder tells: it is decoded with something behind its coded data.

TurboJPEG does not take CMYK with every sampling, and Pillow fills what is missing with gray. So Pillow decodes the file
three times: as it stands, and with two series of bytes behind the data of every scan and restart interval. They change
pixels where data is missing, and only there. Codes that do not exist and bytes too many are not noticed in such files.
"""

from __future__ import annotations

import hashlib
import re
from typing import IO, TYPE_CHECKING, cast

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.feed import Feed
from image_intensity.formats.jpeg.picture import DATA_BYTES, FILL, corrupt
from image_intensity.pixels import Pixels, from_image, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_intensity.formats.jpeg.picture import Jpeg

# A restart marker. Its first byte is a literal, which `re` finds sixty times as fast as a repeated one.
RESTART = re.compile(rb"\xff(?=[\xd0-\xd7])")
# Two series of bytes that are codes of some kind in any Huffman table, no markers, and different from their first bit.
# Neither has a backslash, which would mean something where they are put in.
SURPLUS = bytes(range(0x11, 0xEF, 0x0D)) * 4
INVERSE = bytes(0xFF ^ byte for byte in SURPLUS)
# A restart marker behind every block makes the file thirty times as long. Encoders put one behind a row of blocks.
MOST_PADDING = 1 << 20


def checked_by_padding(picture: Jpeg) -> Pixels:
    """Return the pixels of the file as it stands.

    Raises CorruptImage unless both paddings leave them as they are, and UnsupportedFormat when there are so many
    restart intervals that the paddings would be longer than the file and `MOST_PADDING` together.
    """
    padding = len(SURPLUS) * (len(picture.data) + picture.restarts)
    if padding > len(picture.essentials) + MOST_PADDING:
        raise UnsupportedFormat(
            "This JPEG has more restart markers than are checked in a CMYK picture of its sampling."
        )
    # One decode after the other, because all at once would take three times the memory.
    digests = {digest(from_image(load(padded(picture, surplus), "JPEG"))) for surplus in (SURPLUS, INVERSE)}
    image = load(padded(picture, b""), "JPEG")
    if digests != {digest(from_image(image))}:
        corrupt("it is cut short")
    return from_image(image)


def padded(picture: Jpeg, surplus: bytes) -> IO[bytes]:
    """Return the file with `surplus` behind the data of each scan and restart interval.

    It is made while it is read, as `surplus` may be many times what is between restart markers.
    """
    return cast("IO[bytes]", Feed(pieces(picture, surplus)))


def pieces(picture: Jpeg, surplus: bytes) -> Iterator[bytes]:
    """Yield the file with `surplus` behind the data of each scan and restart interval; first, what is before it."""
    position = 0
    for start, end in picture.data:
        yield bytes(picture.essentials[position:start])
        position = start
        while position < end:
            stop = min(position + DATA_BYTES, end)
            # Not between the two bytes of a marker.
            stop += stop < end and picture.essentials[stop - 1 : stop] == FILL
            yield RESTART.sub(surplus + FILL, picture.essentials[position:stop])
            position = stop
        yield surplus
    yield bytes(picture.essentials[position:])


def digest(pixels: Pixels) -> bytes:
    """Return the SHA-256 of the pixels."""
    total = hashlib.sha256()
    for strip in pixels.strips:
        total.update(strip.tobytes())
    return total.digest()
