"""The structure of a JPEG file (ITU-T T.81): its segments, up to the end of the first picture.

What pixels depend on is kept: tables, frame and scan headers, coded data, and the two segments that tell the color
space. Decoders never see the rest, such as EXIF, ICC profiles, previews and comments.
"""

from __future__ import annotations

import re
import struct
from typing import NoReturn

import numpy as np

from image_intensity.errors import CorruptImage, UnsupportedFormat
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
    MOST_INTERVAL,
    OTHER_FRAMES,
    PROGRESSIVE,
    RST0,
    SOI,
    SOS,
    TEM,
    Jpeg,
    corrupt,
)
from image_intensity.formats.tiff.directory import read_directory

# Each segment costs time in Python, however few bytes it has: 25 million empty ones fit into 100 MB. Honest files
# have metadata in segments of 64 KB (at most 1,600 of them) and a few segments for each scan.
MAX_SEGMENTS = 10_000
# The Multi-Picture Format (CIPA DC-007): an APP2 segment of this name holds a TIFF directory; its tag 0xB001, a 32-bit
# number, says how many pictures follow each other in the file.
MULTI_PICTURE = b"MPF\0"
NUMBER_OF_IMAGES = 0xB001
# Neither a stuffed zero nor a fill byte. It begins with one literal byte, so `re` finds it sixty times as fast.
MARKER = re.compile(rb"\xff([\x01-\xfe])")
# Markers that have no length and no content.
BARE = {TEM, *range(RST0, SOI)}
# Programs that shorten a segment, or forget its last bytes, leave this much behind it.
MOST_STRAY = 16
# libjpeg uses only these two segments to choose the color conversion (jdmarker.c), if they have at least this length.
# The version of JFIF changes no pixel, but libjpeg warns of an unknown one.
JFIF, JFIF_BYTES = b"JFIF\0", 14
JFIF_SEGMENT = b"\xff\xe0\x00\x10JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00"
ADOBE, ADOBE_BYTES = b"Adobe", 12
ADOBE_HEAD = b"\xff\xee\x00\x0e"
DRI_HEAD = b"\xff\xdd\x00\x04"
# A frame header before its components, and how many of them a picture has: gray, color or CMYK.
FRAME_BYTES, COLOR, COMPONENTS = 6, 3, {1, 3, 4}
# The end of a scan header: coefficients 0 to 63, all bits.
SCAN_PARAMETERS = b"\x00\x3f\x00"
# The longest segment that pixels depend on holds all eight Huffman tables, of 17 + 256 bytes each (T.81, B.2.4.2).
ESSENTIAL_BYTES = 4 + 8 * 273


def read(data: bytes) -> Jpeg:
    """Read the segments of `data`, a file that starts with `SIGNATURE`, up to the end of its first picture.

    Raises CorruptImage when the structure is broken or has no end; UnsupportedFormat for other kinds of JPEG (lossless,
    hierarchical, arithmetic-coded, 12-bit, no height) and for more scans or segments than the limits allow.
    """
    picture = Jpeg()
    marker, start, position, stray = SOI, 0, 2, False
    for _ in range(MAX_SEGMENTS + 1):
        if marker == SOS:
            position = keep_coded_data(picture, data, position)
        found = MARKER.search(data, position)
        if found is None:
            corrupt("it is cut short")
        if data[position : found.start()].strip(FILL):
            check_stray(data[start : found.start()].rstrip(FILL), position - start, marker)
            stray = True
        marker, start = found[1][0], found.end()
        position = start
        if marker == EOI:
            break
        if marker == SOI:
            corrupt("a second start marker (SOI) is in it")
        if marker in BARE:
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
    if stray:
        check_colors(picture)
    picture.essentials += data[start - 2 : start]
    return picture


def check_stray(data: bytes, length: int, marker: int) -> None:
    """Raise CorruptImage if the bytes behind a segment could be part of it, or of another one that changes pixels.

    Decoders go on without a lost table or color transform, and get other pixels. So only a few bytes are passed over,
    behind a segment that changes nothing, and only if no segment ends with them: neither one whose marker has lost a
    byte or both, nor one that the segment in front hides.
    data: that segment, `length` bytes from the end of its marker on, and the bytes behind it. marker: of the segment.
    """
    stray = len(data) - length
    harmless = is_application(marker) and marker != APP14 and stray <= MOST_STRAY
    if not harmless or ends_with_segment(data[-ESSENTIAL_BYTES:], stray) or data[-ADOBE_BYTES:].startswith(ADOBE):
        corrupt("a segment does not begin or end where it should")


def check_colors(picture: Jpeg) -> None:
    """Raise CorruptImage if stray bytes may be all that is left of an Adobe segment: nothing else tells the colors."""
    colors = len(picture.sampling)
    # Of three components, only YCbCr is subsampled.
    told = colors == 1 or (colors == COLOR and (JFIF_SEGMENT in picture.essentials or len({*picture.sampling}) > 1))
    if not told and ADOBE_HEAD not in picture.essentials:
        corrupt("a segment does not begin or end where it should")


def ends_with_segment(data: bytes, stray: int) -> bool:
    """Return whether a length field reaches the end: behind a marker, or at the beginning of the last `stray` bytes."""
    values = np.frombuffer(data, np.uint8).astype(int)
    ends = (values[:-1] << 8) + values[1:] + np.arange(values.size - 1) == values.size
    return bool((ends[2:] & (values[:-3] == FILL[0])).any() or ends[values.size - stray :][:3].any())


def read_segment(data: bytes, start: int) -> bytes:
    length = int.from_bytes(data[start : start + 2], "big")
    if length < 2 or start + length > len(data):  # noqa: PLR2004 - the length field counts itself
        corrupt("it is cut short")
    return data[start + 2 : start + length]


def read_marker(picture: Jpeg, marker: int, segment: bytes) -> None:
    """Note what a segment says about the picture."""
    if marker in DECODABLE_FRAMES or marker in OTHER_FRAMES:
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
    if len(segment) < FRAME_BYTES:
        corrupt("its frame header is not valid")
    precision, height, width, count = struct.unpack_from(">BHHB", segment)
    ids, factors = segment[FRAME_BYTES::3], segment[FRAME_BYTES + 1 :: 3]
    sampling = [(factor >> 4, factor & 0x0F) for factor in factors]
    if marker in OTHER_FRAMES:
        unsupported(f"This is {OTHER_FRAMES[marker]}, which is not measured.")
    if precision != 8:  # noqa: PLR2004 - bits
        unsupported(f"This is a {precision}-bit JPEG, which is not measured.")
    if len(segment) != FRAME_BYTES + 3 * count or not width or not count or any(0 in pair for pair in sampling):
        corrupt("its frame header is not valid")
    check_decodable(height, sampling)
    picture.frame, picture.size, picture.ids, picture.sampling = marker, (width, height), ids, sampling


def check_decodable(height: int, sampling: list[tuple[int, int]]) -> None:
    """Raise UnsupportedFormat for a frame header that the standard allows and libjpeg does not decode."""
    if not height:
        unsupported("This JPEG has no height in its header: it is damaged, or has it behind its first scan (DNL).")
    if len(sampling) not in COMPONENTS:
        unsupported(f"This is a JPEG of {len(sampling)} components; only those of one, three or four are measured.")
    if any(max(factors) % factor for factors in zip(*sampling, strict=True) for factor in factors):
        unsupported("This is a JPEG with fractional sampling, which is not measured.")


def unsupported(reason: str) -> NoReturn:
    raise UnsupportedFormat(f"{reason} Convert it to PNG.")


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
    elif is_application(marker):
        return
    if len(segment) > ESSENTIAL_BYTES:
        corrupt("a segment is longer than what it can hold")
    picture.essentials += segment


def is_application(marker: int) -> bool:
    """Return whether a segment is an application's or a comment."""
    return APP0 <= marker <= APP15 or marker == COM


def sequential(segment: bytes) -> bytes:
    """Return a scan header that names all coefficients. Some encoders leave that out, and libjpeg would warn of it.

    Raises CorruptImage for one that names others: a byte of it is lost, or one too many.
    """
    size = len(SCAN_PARAMETERS)
    if segment[-size:] not in {SCAN_PARAMETERS, bytes(size)}:
        corrupt("a scan header is not valid")
    return segment[:-size] + SCAN_PARAMETERS


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
    try:
        return max(1, read_directory(tiff).number(NUMBER_OF_IMAGES, 1))
    except CorruptImage:
        return 1
