"""Whether the coded data of a CMYK JPEG is complete. No decoder tells, so it is decoded with other bytes at its end.

TurboJPEG does not take CMYK with every sampling, and Pillow fills what is missing with gray. So Pillow decodes the file
as it stands, and twice with a series of bytes behind the data of every scan and restart interval. They change pixels
where data is missing, and only there. A fourth time, the series replaces the last bytes of every scan. If that changes
no pixel, those bytes were surplus. What changes no pixel, such as missing data where all is black, is for `scans`.
"""

from __future__ import annotations

import hashlib
import re
from typing import IO, TYPE_CHECKING, cast

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.feed import Feed
from image_intensity.formats.jpeg.picture import DATA_BYTES, FILL, corrupt
from image_intensity.formats.jpeg.scans import check_scans_as_gray
from image_intensity.pixels import Pixels, from_image, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from image_intensity.formats.jpeg.picture import Jpeg
    from image_intensity.options import Region

# A restart marker. `re` finds a pattern that begins with a literal byte sixty times as fast.
RESTART = re.compile(rb"\xff(?=[\xd0-\xd7])")
# Two series of bytes. Both are codes in every Huffman table, have no markers, and differ in their first bit.
# Neither has a backslash, which `re.sub` would interpret.
SURPLUS = bytes(range(0x11, 0xEF, 0x0D)) * 4
INVERSE = bytes(0xFF ^ byte for byte in SURPLUS)
# A scan without surplus bytes uses at least one of its last eight bytes.
LAST_BYTES = 8
# With a restart marker after every block, padding makes a file thirty times as long. Encoders write one for each row.
MOST_PADDING = 1 << 20
# The color transforms of four components: CMYK and YCCK. libjpeg warns of others and takes them for YCCK (jdapimin.c).
TRANSFORMS = {0, 2}


def checked_by_padding(picture: Jpeg, region: Region | None) -> Pixels:
    """Return the pixels of the file, or those of a region. All of them are checked.

    Raises CorruptImage unless its scans decode strictly (see `scans`), both paddings leave them as they are, the last
    bytes matter, and the color transform is known; UnsupportedFormat when there are so many restart intervals that the
    paddings would be longer than the file and `MOST_PADDING` together.
    """
    if picture.transform not in TRANSFORMS:
        corrupt("its color transform is unknown")
    padding = len(SURPLUS) * (len(picture.data) + picture.restarts)
    if padding > len(picture.essentials) + MOST_PADDING:
        raise UnsupportedFormat(
            "This JPEG has more restart markers than are checked in a CMYK picture of its sampling."
        )
    check_scans_as_gray(picture)
    # One decode after the other, because all at once would take four times the memory.
    padded_digests = {digest(padded(picture, surplus)) for surplus in (SURPLUS, INVERSE)}
    replaced_digest = digest(padded(picture, INVERSE, replaced=LAST_BYTES))
    image = load(padded(picture, b""), "JPEG")
    expected = digest_of(image)
    if padded_digests != {expected}:
        corrupt("it is cut short")
    if replaced_digest == expected:
        corrupt("its coded data is too long")
    return from_image(image, region)


def padded(picture: Jpeg, surplus: bytes, *, replaced: int = 0) -> IO[bytes]:
    """Return the file with `surplus` after the data of each scan and restart interval.

    replaced: how many bytes to leave out at the end of each scan. The file is made while it is read, as `surplus` may
    be many times what is between restart markers.
    """
    return cast("IO[bytes]", Feed(pieces(picture, surplus, replaced)))


def pieces(picture: Jpeg, surplus: bytes, replaced: int) -> Iterator[bytes]:
    """Yield the parts of the padded file, beginning with everything before the data."""
    position = 0
    for start, end in picture.data:
        yield bytes(picture.essentials[position:start])
        position, last = start, max(start, end - replaced)
        while position < last:
            stop = min(position + DATA_BYTES, last)
            # Do not cut between the two bytes of a marker.
            stop += stop < end and picture.essentials[stop - 1 : stop] == FILL
            yield RESTART.sub(surplus + FILL, picture.essentials[position:stop])
            position = stop
        yield surplus
        position = end
    yield bytes(picture.essentials[position:])


def digest(file: IO[bytes]) -> bytes:
    return digest_of(load(file, "JPEG"))


def digest_of(image: Image.Image) -> bytes:
    """Return the SHA-256 of the pixels of an image."""
    total = hashlib.sha256()
    for strip in from_image(image).strips:
        total.update(strip.tobytes())
    return total.digest()
