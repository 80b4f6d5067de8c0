"""The structure of a JPEG file (ITU-T T.81): what Pillow would let pass, or would stumble over needlessly.

libjpeg treats damage as a warning, fills the gap with gray and goes on, and Pillow does not pass the warning on. So the
structure is read here, and `simplejpeg` (libjpeg-turbo with warnings as errors) decodes once more at an eighth of the
size, which costs a quarter of a decode: Huffman decoding in full, hardly any of the rest. Damage that leaves valid
codes behind, such as a flipped bit, changes pixels without any decoder noticing: JPEG has no checksum.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import NoReturn

import simplejpeg

from contract.limits import MAX_JPEG_SCANS
from contract.problems import ProblemCode, ProblemError
from processor.pixels import load

SIGNATURE = b"\xff\xd8\xff"

# Markers (T.81, table B.1), by their second byte.
TEM, SOI, EOI, SOS, DNL, COM = 0x01, 0xD8, 0xD9, 0xDA, 0xDC, 0xFE
APP0, APP14, APP15 = 0xE0, 0xEE, 0xEF
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# Baseline, extended sequential and progressive, the first two also arithmetic coded: what libjpeg decodes.
# The rest is lossless, hierarchical or reserved.
DECODABLE_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
PROGRESSIVE = {0xC2, 0xCA}
# A marker that ends entropy-coded data: not a stuffed zero, not a restart marker.
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")

# The warnings of libjpeg (jerror.h) after which samples are a guess. The others are harmless: surplus bytes between
# segments, an unknown Adobe transform.
DAMAGE = ("premature end", "bad huffman code", "bad arithmetic code", "found marker", "progression sequence")

# Bytes that are codes of some kind in any Huffman table, and no marker.
SURPLUS = bytes(range(0x11, 0xEF, 0x0D)) * 4


@dataclass(slots=True)
class Jpeg:
    """The first picture of a file.

    size: width and height in pixels. frame: its SOF marker. components: their ids. scans: for each scan its components,
    first and last coefficient, and the bit position that it completes. essentials: the file again without EXIF, ICC
    profiles, previews, comments and further pictures. scan_ends: where in it the data of each scan ends.
    """

    size: tuple[int, int] = (0, 0)
    frame: int = 0
    components: tuple[int, ...] = ()
    scans: list[tuple[tuple[int, ...], range, int]] = field(default_factory=list)
    essentials: bytes = b""
    scan_ends: list[int] = field(default_factory=list)

    def verify(self) -> None:
        """Raise ProblemError, corrupt_image, unless every coefficient of every component is in the file and decodes."""
        for component in self.components:
            missing = set(range(64)) if self.frame in PROGRESSIVE else {0}
            for components, coefficients, low_bit in self.scans:
                if component in components and low_bit == 0:
                    missing.difference_update(coefficients)
            if missing:
                corrupt("some of its scans are missing")
        # libjpeg converts CMYK to nothing but CMYK, and everything else to gray.
        colorspace = "CMYK" if len(self.components) == 4 else "GRAY"  # noqa: PLR2004 - cyan, magenta, yellow, key
        try:
            simplejpeg.decode_jpeg(self.essentials, colorspace, min_height=1, min_width=1, min_factor=8, strict=True)
        except ValueError as error:
            message = str(error)
            if any(damage in message.lower() for damage in DAMAGE):
                raise ProblemError(ProblemCode.CORRUPT_IMAGE, f"This JPEG is damaged: {message}.") from error
            # A harmless warning, which hides any later one, or a sampling that TurboJPEG does not know.
            if self.runs_out_of_data():
                corrupt("it is cut short")

    def runs_out_of_data(self) -> bool:
        """Tell whether a scan is short: bytes put behind a whole one change no pixel, behind a short one they do."""
        padded = bytearray()
        start = 0
        for end in self.scan_ends:
            padded += self.essentials[start:end] + SURPLUS
            start = end
        padded += self.essentials[start:]
        return load(self.essentials, "JPEG").tobytes() != load(bytes(padded), "JPEG").tobytes()


def read(data: bytes) -> Jpeg:
    """Read the segments of `data`, a file that starts with `SIGNATURE`, up to the end of its first picture.

    Raises ProblemError: corrupt_image when the structure is broken or has no end; unsupported_format for the processes
    that are not in use (lossless, hierarchical, 12-bit) and for more than `MAX_JPEG_SCANS` scans.
    """
    picture = Jpeg()
    essentials = bytearray(data[:2])
    position = 2
    while True:
        found = MARKER.search(data, position)
        if found is None:
            corrupt("it is cut short")
        marker, start = found[1][0], found.end()
        if picture.scans:
            essentials += data[position : found.start()]
            picture.scan_ends.append(len(essentials))
        position = start
        if marker == EOI:
            break
        if marker in {TEM, SOI}:
            continue
        segment = read_segment(data, start)
        position = start + 2 + len(segment)
        if marker in FRAMES:
            read_frame(picture, marker, segment)
        elif marker == SOS:
            read_scan(picture, segment)
        # Of the application's segments, only JFIF and Adobe's say how samples become colors.
        if marker in {APP0, APP14} or not (APP0 <= marker <= APP15 or marker == COM):
            essentials += data[start - 2 : position]
    if not picture.scans:
        corrupt("it has no image data")
    picture.essentials = bytes(essentials + b"\xff\xd9")
    return picture


def read_segment(data: bytes, start: int) -> bytes:
    """Return the content of the segment whose length field is at `start`."""
    length = int.from_bytes(data[start : start + 2], "big")
    if length < 2 or start + length > len(data):  # noqa: PLR2004 - the length field counts itself
        corrupt("it is cut short")
    return data[start + 2 : start + length]


def read_frame(picture: Jpeg, marker: int, segment: bytes) -> None:
    """Read a frame header, SOFn (T.81, B.2.2)."""
    if picture.frame:
        corrupt("it has two frame headers")
    try:
        precision, height, width, count = struct.unpack_from(">BHHB", segment)
        components = tuple(segment[6 + 3 * index] for index in range(count))
    except (struct.error, IndexError):
        corrupt("its frame header is not valid")
    if marker not in DECODABLE_FRAMES or precision != 8:  # noqa: PLR2004 - bits
        detail = "Only 8-bit baseline, sequential and progressive JPEGs are measured, not 12-bit or lossless ones."
        raise ProblemError(ProblemCode.UNSUPPORTED_FORMAT, detail)
    if not width or not height or not components:
        corrupt("its frame header is not valid")
    picture.frame, picture.size, picture.components = marker, (width, height), components


def read_scan(picture: Jpeg, segment: bytes) -> None:
    """Read a scan header, SOS (T.81, B.2.3)."""
    if not picture.frame:
        corrupt("it has a scan before its frame header")
    try:
        components = tuple(segment[1 + 2 * index] for index in range(segment[0]))
        first, last, bits = struct.unpack_from("BBB", segment, 1 + 2 * len(components))
    except (struct.error, IndexError):
        corrupt("a scan header is not valid")
    picture.scans.append((components, range(first, last + 1), bits & 0x0F))
    if len(picture.scans) > MAX_JPEG_SCANS:
        detail = f"This JPEG has more than {MAX_JPEG_SCANS} scans, far more than any encoder writes."
        raise ProblemError(ProblemCode.UNSUPPORTED_FORMAT, detail)


def corrupt(reason: str) -> NoReturn:
    """Refuse the file."""
    raise ProblemError(ProblemCode.CORRUPT_IMAGE, f"This JPEG is damaged: {reason}.")
