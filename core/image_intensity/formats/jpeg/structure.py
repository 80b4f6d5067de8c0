"""The structure of a JPEG file (ITU-T T.81): its segments, up to the end of the first picture.

What pixels depend on is kept: tables, frame and scan headers, coded data, and the two segments that tell the color
space. Decoders never see the rest, such as EXIF, ICC profiles, previews and comments.
"""

from __future__ import annotations

import re
import struct

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.jpeg.completeness import add_scan, keep_coded_data
from image_intensity.formats.jpeg.picture import (
    APP0,
    APP2,
    APP14,
    APP15,
    COM,
    DECODABLE_FRAMES,
    DRI,
    EOI,
    FILL,
    FRAMES,
    MOST_INTERVAL,
    PROGRESSIVE,
    SOI,
    SOS,
    TEM,
    Jpeg,
    corrupt,
)

# Each segment costs a turn in Python, however few bytes it has: 25 million empty ones fit into 100 MB. Honest files
# have metadata in segments of 64 KB (at most 1,600 of them) and a few segments for each scan.
MAX_SEGMENTS = 10_000
# The Multi-Picture Format (CIPA DC-007): an APP2 segment of this name holds a TIFF directory; its tag 0xB001, a 32-bit
# number, says how many pictures follow each other in the file.
MULTI_PICTURE = b"MPF\0"
NUMBER_OF_IMAGES = 0xB001
# Any marker but a restart marker: neither a stuffed zero nor a fill byte. It begins with one literal byte, so `re`
# finds it sixty times as fast.
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
# libjpeg uses only these two segments to choose the color conversion (jdmarker.c), if they have at least this length.
# The version of JFIF changes no pixel, but libjpeg warns of an unknown one.
JFIF, JFIF_BYTES = b"JFIF\0", 14
JFIF_SEGMENT = b"\xff\xe0\x00\x10JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00"
ADOBE, ADOBE_BYTES = b"Adobe", 12
ADOBE_HEAD = b"\xff\xee\x00\x0e"
DRI_HEAD = b"\xff\xdd\x00\x04"
# A frame header before its components, and how many of them a picture has: gray, color or CMYK.
FRAME_BYTES, COMPONENTS = 6, {1, 3, 4}
# The end of a scan header: coefficients 0 to 63, all bits.
SCAN_PARAMETERS = b"\x00\x3f\x00"
# The longest segment that pixels depend on holds all eight Huffman tables, of 17 + 256 bytes each (T.81, B.2.4.2).
ESSENTIAL_BYTES = 4 + 8 * 273


def read(data: bytes) -> Jpeg:
    """Read the segments of `data`, a file that starts with `SIGNATURE`, up to the end of its first picture.

    Raises CorruptImage when the structure is broken or has no end; UnsupportedFormat for the processes
    and frame headers that are not in use (lossless, hierarchical, arithmetic, 12-bit, no height) and for more scans or
    segments than the limits allow.
    """
    picture = Jpeg()
    marker, position = SOI, 2
    for _ in range(MAX_SEGMENTS + 1):
        if marker == SOS:
            position = keep_coded_data(picture, data, position)
        found = MARKER.search(data, position)
        if found is None:
            corrupt("it is cut short")
        if data[position : found.start()].strip(FILL):
            check_stray(data, position, found.start(), marker)
        marker, start = found[1][0], found.end()
        position = start
        if marker == EOI:
            break
        if marker == TEM:
            # This marker has no length and no content.
            continue
        segment = read_segment(data, start)
        position = start + 2 + len(segment)
        read_marker(picture, marker, segment)
        keep_segment(picture, marker, data[start - 2 : position])
    else:
        detail = f"This JPEG has more than {MAX_SEGMENTS:,} segments, more than any encoder writes."
        raise UnsupportedFormat(detail)
    if not picture.scans:
        corrupt("it has no image data")
    picture.essentials += data[start - 2 : start]
    return picture


def check_stray(data: bytes, start: int, end: int, before: int) -> None:
    """Raise CorruptImage if the stray bytes from `start` to `end` look like a part of a segment.

    They are one whose marker has lost one byte or both, or the rest of an Adobe segment that is longer than it says.
    Where a table or a color transform is lost, decoders may go on with another. before: the marker in front of them.
    """
    lengths = {at: int.from_bytes(data[at : at + 2], "big") for at in range(start, start + 3)}
    is_segment = any(length > 1 and at + length == end for at, length in lengths.items())
    if before == APP14 or is_segment:
        corrupt("a segment does not begin or end where it should")


def read_segment(data: bytes, start: int) -> bytes:
    """Return the content of the segment whose length field is at `start`."""
    length = int.from_bytes(data[start : start + 2], "big")
    if length < 2 or start + length > len(data):  # noqa: PLR2004 - the length field counts itself
        corrupt("it is cut short")
    return data[start + 2 : start + length]


def read_marker(picture: Jpeg, marker: int, segment: bytes) -> None:
    """Note what a segment says about the picture."""
    if marker == SOI:
        corrupt("it has a marker in the wrong place")
    if marker in FRAMES:
        read_frame(picture, marker, segment)
    elif marker == SOS:
        add_scan(picture, segment)
    elif marker == DRI:
        picture.restart_interval = int.from_bytes(segment[:2], "big")
    elif marker == APP2 and segment.startswith(MULTI_PICTURE):
        picture.frames = read_multi_picture(segment[len(MULTI_PICTURE) :])


def read_frame(picture: Jpeg, marker: int, segment: bytes) -> None:
    """Read a frame header, SOFn (T.81, B.2.2)."""
    if picture.frame:
        corrupt("it has two frame headers")
    try:
        precision, height, width, count = struct.unpack_from(">BHHB", segment)
        sampling = {
            segment[6 + 3 * index]: (segment[7 + 3 * index] >> 4, segment[7 + 3 * index] & 0x0F)
            for index in range(count)
        }
    except (struct.error, IndexError):
        corrupt("its frame header is not valid")
    if marker not in DECODABLE_FRAMES or precision != 8:  # noqa: PLR2004 - bits
        detail = "Only 8-bit baseline, sequential and progressive JPEGs with Huffman coding are measured."
        raise UnsupportedFormat(detail)
    whole = len(segment) == FRAME_BYTES + 3 * count and len(sampling) == count
    if not whole or not width or not count or any(0 in pair for pair in sampling.values()):
        corrupt("its frame header is not valid")
    check_decodable(height, list(sampling.values()))
    picture.frame, picture.size, picture.sampling = marker, (width, height), sampling


def check_decodable(height: int, sampling: list[tuple[int, int]]) -> None:
    """Raise UnsupportedFormat for a frame header that the standard allows and libjpeg does not decode."""
    if not height:
        detail = "This JPEG has no height in its header: it is damaged, or has it behind its first scan (DNL)."
        raise UnsupportedFormat(detail)
    if len(sampling) not in COMPONENTS:
        raise UnsupportedFormat("Only JPEGs of one, three or four components are measured.")
    if any(max(factors) % factor for factors in zip(*sampling, strict=True) for factor in factors):
        raise UnsupportedFormat("JPEGs with fractional sampling are not measured.")


def keep_segment(picture: Jpeg, marker: int, segment: bytes) -> None:
    """Keep a segment, its marker and length included, if pixels depend on it.

    Raises CorruptImage, for one that says the same thing over and over: Pillow's time is the square of
    its length.
    """
    content = segment[4:]
    if marker == APP0 and content.startswith(JFIF) and len(content) >= JFIF_BYTES:
        segment = JFIF_SEGMENT
    elif marker == APP14 and content.startswith(ADOBE) and len(content) >= ADOBE_BYTES:
        segment = ADOBE_HEAD + content[:ADOBE_BYTES]
        picture.transform = content[ADOBE_BYTES - 1]
    elif marker == SOS and picture.frame != PROGRESSIVE:
        segment = checking_interval(picture) + sequential(segment)
    elif APP0 <= marker <= APP15 or marker == COM:
        return
    if len(segment) > ESSENTIAL_BYTES:
        corrupt("a segment is longer than what it can hold")
    picture.essentials += segment


def sequential(segment: bytes) -> bytes:
    """Return a scan header that names all coefficients. For others, libjpeg warns and decodes all of them anyway."""
    size = len(SCAN_PARAMETERS)
    return segment[:-size] + SCAN_PARAMETERS if len(segment) == 5 + 2 * segment[4] + size else segment


def checking_interval(picture: Jpeg) -> bytes:
    """Return a DRI segment to put before a scan, with the restart interval that it has, or one that is never complete.

    libjpeg-turbo has two ways to decode such scans (jdhuff.c). The faster one takes a code that does not exist for a
    zero, without a warning. The other one, for scans with restart intervals, warns, and takes 2 % longer. It serves
    scans of up to 65,535 MCUs: in larger ones, libjpeg would look for a restart marker. It reads further ahead, though,
    and could miss up to seven surplus bytes between two scans, so it serves files of one scan alone.
    """
    components = picture.scans[-1]
    possible = len(components) == len(picture.sampling) and picture.mcus(components) <= MOST_INTERVAL
    interval = picture.restart_interval or (MOST_INTERVAL if possible else 0)
    return DRI_HEAD + interval.to_bytes(2, "big")


def read_multi_picture(tiff: bytes) -> int:
    """Return how many pictures a file declares; 1 if that cannot be read, because it changes no pixel."""
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(entries):
            tag, _type, _count, value = struct.unpack_from(f"{order}HHII", tiff, directory + 2 + 12 * entry)
            if tag == NUMBER_OF_IMAGES:
                return max(1, int(value))
    except struct.error:
        pass
    return 1
