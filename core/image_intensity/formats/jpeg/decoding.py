"""The pixels of a JPEG whose structure has been read.

libjpeg treats damage as a warning, fills the gap with gray and goes on, and Pillow does not pass the warning on. So
`simplejpeg` decodes: libjpeg-turbo like Pillow's, to the same pixels, with warnings as errors. Pillow decodes the rest:
CMYK, unusual samplings, and files with harmless warnings. Some damage leaves valid codes behind, such as a flipped bit.
It changes pixels and no decoder notices, because JPEG has no checksum.
"""

from __future__ import annotations

import hashlib
import re
from typing import IO, TYPE_CHECKING, cast

import simplejpeg

from image_intensity.errors import CorruptImage
from image_intensity.formats.feed import Feed
from image_intensity.formats.jpeg.completeness import DATA_BYTES, has_all_scans
from image_intensity.formats.jpeg.picture import FILL, corrupt
from image_intensity.pixels import Pixels, from_image, from_samples, lend, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_intensity.formats.jpeg.picture import Jpeg

# Components -> what `simplejpeg` calls the samples that they become, how many a pixel has, and Pillow's mode.
DECODED = {1: ("GRAY", 1, "L"), 3: ("RGBX", 4, "RGB")}
# A restart marker. Its first byte is a literal, which `re` finds sixty times as fast as a repeated one.
RESTART = re.compile(rb"\xff(?=[\xd0-\xd7])")
# The warnings of libjpeg (jerror.h) after which samples are a guess. The others are harmless: surplus bytes between
# segments, an unknown Adobe transform.
DAMAGE = ("premature end", "bad huffman code", "found marker", "progression sequence")
# Two series of bytes that are codes of some kind in any Huffman table, no markers, and different from their first bit.
# Neither has a backslash, which would mean something where they are put in.
SURPLUS = bytes(range(0x11, 0xEF, 0x0D)) * 4
INVERSE = bytes(0xFF ^ byte for byte in SURPLUS)


def decode(picture: Jpeg) -> Pixels:
    """Return the pixels. Raises CorruptImage unless every coefficient is there and decodes."""
    if not has_all_scans(picture):
        corrupt("some of its scans are missing")
    width, height = picture.size
    try:
        if len(picture.sampling) in DECODED:
            colorspace, channels, mode = DECODED[len(picture.sampling)]
            memory = lend(width * height * channels)
            samples = simplejpeg.decode_jpeg(picture.essentials, colorspace, buffer=memory, strict=True)
            return from_samples(samples, mode, memory)
        # libjpeg converts CMYK to nothing but CMYK, and Pillow alone does it as Pillow does.
        simplejpeg.decode_jpeg(picture.essentials, "CMYK", min_height=1, min_width=1, min_factor=8, strict=True)
        return from_image(load(padded(picture, b""), "JPEG"))
    except ValueError as error:
        message = str(error)
        if any(damage in message.lower() for damage in DAMAGE):
            raise CorruptImage(f"This JPEG is damaged: {message}.") from error
    # A harmless warning, which hides any later one, or a sampling that TurboJPEG does not know. One decode after
    # the other, as both at once would take twice the memory.
    expected = digest(from_image(load(padded(picture, SURPLUS), "JPEG")))
    image = load(padded(picture, INVERSE), "JPEG")
    if digest(from_image(image)) != expected:
        corrupt("it is cut short")
    return from_image(image)


def padded(picture: Jpeg, surplus: bytes) -> IO[bytes]:
    """Return the file with bytes put behind its data: they change pixels where it is short, and only there.

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
