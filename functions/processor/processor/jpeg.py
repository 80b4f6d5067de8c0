"""The structure of a JPEG file (ITU-T T.81): what Pillow would let pass, or would stumble over needlessly.

libjpeg treats damage as a warning, fills the gap with gray and goes on, and Pillow does not pass the warning on. So the
structure is read here, and `simplejpeg` decodes: libjpeg-turbo like Pillow's, to the same pixels, with warnings as
errors. Pillow decodes what it leaves: CMYK, unusual samplings, and files with harmless warnings. Damage that leaves
valid codes behind, such as a flipped bit, changes pixels without any decoder noticing: JPEG has no checksum.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections import defaultdict
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, NoReturn, cast

import numpy as np
import simplejpeg

from contract.limits import MAX_JPEG_SCAN_PIXELS, MAX_JPEG_SCANS, MAX_JPEG_SEGMENTS
from contract.problems import ProblemCode, ProblemError
from processor.feed import Feed
from processor.pixels import Pixels, from_image, from_samples, lend, load

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE = b"\xff\xd8\xff"

# Markers (T.81, table B.1), by their second byte.
TEM, RST0, SOI, EOI, SOS, DRI, COM = 0x01, 0xD0, 0xD8, 0xD9, 0xDA, 0xDD, 0xFE
APP0, APP2, APP14, APP15 = 0xE0, 0xE2, 0xEE, 0xEF
# The Multi-Picture Format (CIPA DC-007): an APP2 segment of this name holds a TIFF directory; its tag 0xB001, a 32-bit
# number, says how many pictures follow each other in the file.
MULTI_PICTURE = b"MPF\0"
NUMBER_OF_IMAGES = 0xB001
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# Baseline, extended sequential and progressive, Huffman coded. The others are lossless, hierarchical or reserved, or
# arithmetic coded: nothing in use writes them, and no decoder here can tell when such data is damaged.
PROGRESSIVE = 0xC2
DECODABLE_FRAMES = {0xC0, 0xC1, PROGRESSIVE}
COEFFICIENTS, COEFFICIENT_BYTES = 64, 2
# A coefficient that no scan has had so far, beside the bit positions 0 to 15.
UNSEEN = 0xFF
# Components -> what `simplejpeg` calls the samples that they become, how many a pixel has, and Pillow's mode.
DECODED = {1: ("GRAY", 1, "L"), 3: ("RGBX", 4, "RGB")}
FILL = b"\xff"
# Any marker but a restart marker, and those: neither a stuffed zero nor a fill byte. Both begin with one literal byte,
# which `re` looks for sixty times as fast as for a repeated one.
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
RESTART = re.compile(rb"\xff(?=[\xd0-\xd7])")
RESTART_MASK = 0xF8
# How much coded data is looked at in one go: there may be a restart marker in every other byte.
DATA_BYTES = 1 << 18

# libjpeg looks at these two segments alone to tell how samples become colors (jdmarker.c), from this length on.
# The version of JFIF does not matter, but an unknown one is a warning that would hide those that do.
JFIF, JFIF_BYTES = b"JFIF\0", 14
JFIF_SEGMENT = b"\xff\xe0\x00\x10JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00"
ADOBE, ADOBE_BYTES = b"Adobe", 12
ADOBE_HEAD = b"\xff\xee\x00\x0e"
# The longest segment that pixels depend on holds all eight Huffman tables, of 17 + 256 bytes each (T.81, B.2.4.2).
ESSENTIAL_BYTES = 4 + 8 * 273

# The warnings of libjpeg (jerror.h) after which samples are a guess. The others are harmless: surplus bytes between
# segments, an unknown Adobe transform.
DAMAGE = ("premature end", "bad huffman code", "found marker", "progression sequence")
# Two series of bytes that are codes of some kind in any Huffman table, no markers, and different from their first bit.
# Neither has a backslash, which would mean something where they are put in.
SURPLUS = bytes(range(0x11, 0xEF, 0x0D)) * 4
INVERSE = bytes(0xFF ^ byte for byte in SURPLUS)


@dataclass(slots=True)
class Jpeg:
    """The first picture of a file.

    size: width and height in pixels. frame: its SOF marker. sampling: horizontal and vertical factor of each component,
    by its id. restart_interval: in MCUs, 0 for none. scans: the components of each. low_bits: by component, for each
    coefficient that a scan header can name, the bit position down to which the scans so far have it. essentials: the
    file again without EXIF, ICC profiles, previews, comments, fill bytes and further pictures. data: where in it the
    data of each scan starts and ends. frames: pictures in the file, as it declares.
    """

    size: tuple[int, int] = (0, 0)
    frame: int = 0
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    restart_interval: int = 0
    scans: list[tuple[int, ...]] = field(default_factory=list)
    low_bits: dict[int, bytearray] = field(default_factory=lambda: defaultdict(lambda: bytearray([UNSEEN] * 256)))
    data: list[tuple[int, int]] = field(default_factory=list)
    essentials: bytearray = field(default_factory=lambda: bytearray(SIGNATURE[:2]))
    frames: int = 1

    @property
    def bit_depth(self) -> int:
        """Bits per sample: no other JPEG is read."""
        return 8

    def transparency(self) -> tuple[int, ...]:
        """Return that nothing is transparent."""
        return ()

    @property
    def decoded_bytes(self) -> int:
        """Memory that decoding takes: the pixels, in one or four bytes each, and what libjpeg keeps to make them of.

        It keeps every coefficient of a progressive JPEG, and of one that has its components in several scans.
        """
        width, height = self.size
        pixels = width * height * (1 if len(self.sampling) == 1 else 4)
        if self.frame != PROGRESSIVE and len(self.scans[0]) == len(self.sampling):
            return pixels
        blocks = sum(self.mcus((component,)) for component in self.sampling)
        return pixels + blocks * COEFFICIENTS * COEFFICIENT_BYTES

    def decode(self) -> Pixels:
        """Return the pixels. Raises ProblemError, corrupt_image, unless every coefficient is there and decodes."""
        if any(any(self.low_bits[component][:COEFFICIENTS]) for component in self.sampling):
            corrupt("some of its scans are missing")
        width, height = self.size
        try:
            if len(self.sampling) in DECODED:
                colorspace, channels, mode = DECODED[len(self.sampling)]
                memory = lend(width * height * channels)
                samples = simplejpeg.decode_jpeg(self.essentials, colorspace, buffer=memory, strict=True)
                return from_samples(samples, mode, memory)
            # libjpeg converts CMYK to nothing but CMYK, and Pillow alone does it as Pillow does.
            simplejpeg.decode_jpeg(self.essentials, "CMYK", min_height=1, min_width=1, min_factor=8, strict=True)
            return from_image(load(self.padded(b""), "JPEG"))
        except ValueError as error:
            message = str(error)
            if any(damage in message.lower() for damage in DAMAGE):
                raise ProblemError(ProblemCode.CORRUPT_IMAGE, f"This JPEG is damaged: {message}.") from error
        # A harmless warning, which hides any later one, or a sampling that TurboJPEG does not know. One decode after
        # the other, as both at once would take twice the memory.
        expected = digest(from_image(load(self.padded(SURPLUS), "JPEG")))
        image = load(self.padded(INVERSE), "JPEG")
        if digest(from_image(image)) != expected:
            corrupt("it is cut short")
        return from_image(image)

    def padded(self, surplus: bytes) -> IO[bytes]:
        """Return the file with bytes put behind its data: they change pixels where it is short, and only there.

        It is made while it is read, as `surplus` may be many times what is between restart markers.
        """
        return cast("IO[bytes]", Feed(self.pieces(surplus)))

    def pieces(self, surplus: bytes) -> Iterator[bytes]:
        """Yield the file with `surplus` behind the data of each scan and restart interval; first, what is before it."""
        position = 0
        for start, end in self.data:
            yield bytes(self.essentials[position:start])
            position = start
            while position < end:
                stop = min(position + DATA_BYTES, end)
                # Not between the two bytes of a marker.
                stop += stop < end and self.essentials[stop - 1 : stop] == FILL
                yield RESTART.sub(surplus + FILL, self.essentials[position:stop])
                position = stop
            yield surplus
        yield bytes(self.essentials[position:])

    def mcus(self, components: tuple[int, ...]) -> int:
        """Return how many minimum coded units a scan of these components has (T.81, A.2)."""
        width, height = self.size
        across = max(horizontal for horizontal, _ in self.sampling.values())
        down = max(vertical for _, vertical in self.sampling.values())
        if len(components) > 1:
            return -(-width // (8 * across)) * -(-height // (8 * down))
        horizontal, vertical = self.sampling[components[0]]
        columns, rows = -(-width * horizontal // across), -(-height * vertical // down)
        return -(-columns // 8) * -(-rows // 8)


def digest(pixels: Pixels) -> bytes:
    """Return the SHA-256 of the pixels."""
    total = hashlib.sha256()
    for strip in pixels.strips:
        total.update(strip.tobytes())
    return total.digest()


def read(data: bytes) -> Jpeg:
    """Read the segments of `data`, a file that starts with `SIGNATURE`, up to the end of its first picture.

    Raises ProblemError: corrupt_image when the structure is broken or has no end; unsupported_format for the processes
    that are not in use (lossless, hierarchical, arithmetic, 12-bit) and for more scans or segments than the limits
    allow.
    """
    picture = Jpeg()
    marker, position = SOI, 2
    for _ in range(MAX_JPEG_SEGMENTS + 1):
        if marker == SOS:
            position = keep_data(picture, data, position)
        found = MARKER.search(data, position)
        if found is None:
            corrupt("it is cut short")
        marker, start = found[1][0], found.end()
        if marker == EOI:
            break
        segment = read_segment(data, start)
        position = start + 2 + len(segment)
        read_marker(picture, marker, segment)
        keep_segment(picture, marker, data[start - 2 : position])
    else:
        detail = f"This JPEG has more than {MAX_JPEG_SEGMENTS:,} segments, more than any encoder writes."
        raise ProblemError(ProblemCode.UNSUPPORTED_FORMAT, detail)
    if not picture.scans:
        corrupt("it has no image data")
    picture.essentials += data[start - 2 : start]
    return picture


def read_segment(data: bytes, start: int) -> bytes:
    """Return the content of the segment whose length field is at `start`."""
    length = int.from_bytes(data[start : start + 2], "big")
    if length < 2 or start + length > len(data):  # noqa: PLR2004 - the length field counts itself
        corrupt("it is cut short")
    return data[start + 2 : start + length]


def read_marker(picture: Jpeg, marker: int, segment: bytes) -> None:
    """Take note of what a segment says of the picture."""
    if marker in {TEM, SOI}:
        corrupt("it has a marker in the wrong place")
    if marker in FRAMES:
        read_frame(picture, marker, segment)
    elif marker == SOS:
        read_scan(picture, segment)
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
        raise ProblemError(ProblemCode.UNSUPPORTED_FORMAT, detail)
    if not width or not height or not count or len(sampling) != count or any(0 in pair for pair in sampling.values()):
        corrupt("its frame header is not valid")
    picture.frame, picture.size, picture.sampling = marker, (width, height), sampling


def read_scan(picture: Jpeg, segment: bytes) -> None:
    """Read a scan header, SOS (T.81, B.2.3), and what it adds to the coefficients (G.1.1.1)."""
    if not picture.frame:
        corrupt("it has a scan before its frame header")
    try:
        components = tuple(segment[1 + 2 * index] for index in range(segment[0]))
        first, last, bits = struct.unpack_from("BBB", segment, 1 + 2 * len(components))
    except (struct.error, IndexError):
        corrupt("a scan header is not valid")
    if not components or not picture.sampling.keys() >= {*components}:
        corrupt("a scan header is not valid")
    picture.scans.append(components)
    check_scans(picture)
    high_bit, low_bit = bits >> 4, bits & 0x0F
    if picture.frame != PROGRESSIVE:
        first, last, high_bit, low_bit = 0, COEFFICIENTS - 1, 0, 0
    for component in components:
        known = picture.low_bits[component]
        if not {*known[first : last + 1]} <= ({high_bit} if high_bit else {0, UNSEEN}):
            corrupt("some of its scans are missing")
        known[first : last + 1] = bytes([low_bit]) * (last + 1 - first)


def check_scans(picture: Jpeg) -> None:
    """Raise ProblemError, unsupported_format, for too many scans: each costs a pass over the image."""
    width, height = picture.size
    most = min(MAX_JPEG_SCANS, max(len(picture.sampling), MAX_JPEG_SCAN_PIXELS // (width * height)))
    if len(picture.scans) > most:
        detail = f"This JPEG has more than {most} scans, more than are measured at this size."
        raise ProblemError(ProblemCode.UNSUPPORTED_FORMAT, detail)


def keep_data(picture: Jpeg, data: bytes, start: int) -> int:
    """Keep the entropy-coded data of the last scan, which begins at `start`, and return where it ends.

    Raises ProblemError, corrupt_image, unless it ends, and has the restart markers that were announced, RST0 to RST7 in
    turn (T.81, E.1.4). Kept without the fill bytes in front of markers (B.1.1.2). NumPy, as there is much of it, and a
    hostile file can have millions of either.
    """
    interval = picture.restart_interval
    announced = (picture.mcus(picture.scans[-1]) - 1) // interval if interval else 0
    restarts, in_turn, filled, end = 0, True, False, None
    values = np.frombuffer(data, np.uint8)
    for begin in range(start, len(data), DATA_BYTES):
        piece = values[begin : begin + DATA_BYTES + 1]
        found = np.flatnonzero(piece[:-1] == FILL[0])
        behind = piece[1:][found]
        # Anything else than a stuffed zero, a restart marker or a fill byte ends the data.
        ending = np.flatnonzero((behind != 0) & (behind & RESTART_MASK != RST0) & (behind != FILL[0]))
        if ending.size:
            end = begin + int(found[ending[0]])
            behind = behind[: ending[0]]
        numbers = behind[behind & RESTART_MASK == RST0] - RST0
        in_turn &= bool((numbers == np.arange(restarts, restarts + numbers.size) & 7).all())
        restarts += numbers.size
        filled |= bool((behind == FILL[0]).any())
        if end is not None:
            break
    if end is None:
        corrupt("it is cut short")
    if not in_turn or restarts != announced:
        corrupt("its restart markers are missing or out of order")
    content = data[start:end]
    while filled and FILL * 2 in content:
        content = content.replace(FILL * 2, FILL)
    first = len(picture.essentials)
    picture.essentials += content.removesuffix(FILL)
    picture.data.append((first, len(picture.essentials)))
    return end


def keep_segment(picture: Jpeg, marker: int, segment: bytes) -> None:
    """Keep a segment, its marker and length included, if pixels depend on it.

    Raises ProblemError, corrupt_image, for one that says the same thing over and over: Pillow's time is the square of
    its length.
    """
    content = segment[4:]
    if marker == APP0 and content.startswith(JFIF) and len(content) >= JFIF_BYTES:
        segment = JFIF_SEGMENT
    elif marker == APP14 and content.startswith(ADOBE) and len(content) >= ADOBE_BYTES:
        segment = ADOBE_HEAD + content[:ADOBE_BYTES]
    elif APP0 <= marker <= APP15 or marker == COM:
        return
    if len(segment) > ESSENTIAL_BYTES:
        corrupt("a segment is longer than what it can hold")
    picture.essentials += segment


def read_multi_picture(tiff: bytes) -> int:
    """Return how many pictures a file declares; 1 where that cannot be read, as no pixel hangs on it."""
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


def corrupt(reason: str) -> NoReturn:
    """Refuse the file."""
    raise ProblemError(ProblemCode.CORRUPT_IMAGE, f"This JPEG is damaged: {reason}.")
