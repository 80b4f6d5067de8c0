"""The structure of a PNG file (W3C PNG, third edition): its chunks, checked.

Critical chunks must be whole, known and in order. Of the others, only those are read that say something about
transparency and frames. Decoders never see the rest.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from zlib_ng import zlib_ng

from image_intensity import errors
from image_intensity.errors import UnsupportedFormat
from image_intensity.formats import Structure
from image_intensity.formats.png import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_intensity.options import Region

# Each chunk costs 4 us in Python, also an empty one: 8 million of them fit into 100 MB. So a file may have this many,
# and one more for each `CHUNK_BYTES`. ffmpeg writes chunks of 4 KB, libpng of 8 KB, and a few encoders one a row.
MAX_CHUNKS, CHUNK_BYTES = 50_000, 1 << 11

# A chunk: four bytes of length and four of type, its content, four of checksum (PNG, section 5.3).
CHUNK_HEAD, CHECKSUM = 8, 4

# Color types of IHDR -> samples per pixel (PNG, table 11.1).
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: first column, first row, column step and row step of each pass (PNG, section 8.1).
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

# Ancillary chunks about transparency and frames. All others change nothing that is measured.
TELLING = {b"tRNS", b"acTL", b"fcTL"}
# At most this many of their bytes are read: the alphas of a whole palette are the longest valid content.
TELLING_BYTES = 256
# Bytes of a tRNS chunk by color type; for a palette, up to one byte an entry (PNG, section 11.3.1.1).
GRAY, COLOR, PALETTE, COLOR_ALPHA = 0, 2, 3, 6
KEY_BYTES = {GRAY: 2, COLOR: 6}
DEEP = 16
# A palette has 1 to 256 colors.
PALETTE_BYTES = range(3, 3 * 256 + 1, 3)
# Pillow keeps a pointer to each row.
POINTER_BYTES = 8
# Rows up to this length are decoded in bands. Up to five copies of a band are in memory, at most this many bytes.
BAND_ROW_BYTES, BAND_COPIES, BAND_MEMORY = 1 << 22, 5, 1 << 26
BAND_DEPTH, BAND_COLORS = 8, {GRAY, COLOR, COLOR_ALPHA}
# The animation control chunk, acTL: frames and plays (PNG, section 11.3.6.1).
ACTL = struct.Struct(">II")

corrupt = partial(errors.corrupt, "PNG")


class Pass(NamedTuple):
    """A pass over the picture: its columns and rows, and where their pixels are (PNG, section 8.1).

    The pixel in column i and row j of the pass is the one at left + i across, top + j down of the picture.
    """

    columns: int
    rows: int
    left: int = 0
    top: int = 0
    across: int = 1
    down: int = 1

    def within(self, region: Region) -> tuple[slice, slice]:
        """Return the rows and the columns of the pass that are in a region of the picture. There may be none."""
        rows = stepped(region.y - self.top, region.height, self.down)
        return rows, stepped(region.x - self.left, region.width, self.across)


def stepped(start: int, length: int, step: int) -> slice:
    """Return the whole numbers n >= 0 with start <= n step < start + length."""
    return slice(max(0, -(-start // step)), max(0, -(-(start + length) // step)))


@dataclass(slots=True)
class Png(Structure):
    """A PNG file with sound critical chunks.

    color_type: as in its header. passes: those of an interlaced picture that have pixels, or the only one. row_bytes:
    bytes of all filtered rows, inflated. head: its chunk IHDR, and PLTE where pixels are indices of it. data: its IDAT
    chunks, the contents of which together are the zlib stream. animation: frames of an APNG, as it declares, 0 where it
    is none. data_is_frame: whether the image itself is one of them. trns: contents of its tRNS chunks, up to
    `TELLING_BYTES` of them, None for one that cannot be relied on.
    """

    color_type: int = 0
    passes: list[Pass] = field(default_factory=list)
    row_bytes: int = 0
    head: bytes = b""
    data: list[memoryview] = field(default_factory=list)
    animation: int = 0
    data_is_frame: bool = False
    trns: list[bytes | None] = field(default_factory=list)

    @property
    def in_bands(self) -> bool:
        """Whether a few rows are decoded at a time: 8 bits per sample in gray, RGB or RGBA, and no row too long."""
        row_bytes = self.size[0] * SAMPLES[self.color_type]
        return self.bit_depth == BAND_DEPTH and self.color_type in BAND_COLORS and row_bytes <= BAND_ROW_BYTES

    @property
    def decoded_bytes(self) -> int:
        """Memory that decoding takes.

        For pictures in bands it is little, and the same for all large ones. For others: the pixels, in one, two or four
        bytes each, and a pointer to each row.
        """
        if self.in_bands:
            return min(BAND_COPIES * self.row_bytes, BAND_MEMORY)
        width, height = self.size
        pixel = 4 if self.color_type not in {GRAY, PALETTE} else 2 if self.bit_depth == DEEP else 1
        return height * (width * pixel + POINTER_BYTES)

    def deflated(self) -> Iterator[memoryview]:
        return (content_of(chunk) for chunk in self.data)

    def transparency(self) -> tuple[int, ...]:
        """Return the alphas of the first palette entries, or the transparent gray value or color as Pillow decodes it.

        Empty where there is none. Raises CorruptImage when the chunk that says it is damaged;
        UnsupportedFormat when it names a 16-bit color, because the image is decoded to 8 bits.
        """
        if not self.trns or self.color_type not in {GRAY, COLOR, PALETTE}:
            return ()
        content = self.trns[0]
        if len(self.trns) > 1 or content is None:
            corrupt("its transparency (tRNS chunk) cannot be relied on")
        if self.color_type == PALETTE:
            return tuple(content)
        if len(content) != KEY_BYTES[self.color_type]:
            corrupt("its transparency (tRNS chunk) is not valid")
        if self.color_type == COLOR and self.bit_depth == DEEP:
            detail = "A transparent color in a PNG of 16 bits per sample is measured with alpha=ignore only."
            raise UnsupportedFormat(detail)
        return tuple(self.expanded(sample) for sample in struct.unpack(f">{len(content) // 2}H", content))

    def expanded(self, sample: int) -> int:
        """Return a stored sample as it is decoded: 1, 2 and 4 bits spread over 0 to 255; surplus bits are ignored."""
        highest = (1 << self.bit_depth) - 1
        return (sample & highest) * (max(highest, 255) // highest)


def read(data: bytes) -> Png:
    """Read the chunks of `data`, a file that starts with `SIGNATURE`.

    Raises CorruptImage when a critical chunk is damaged, missing or out of place, or the file is cut;
    UnsupportedFormat when it has a critical chunk that the standard does not know, or more chunks than the limits
    allow. Damage in ancillary chunks, and bytes after the end, are passed over: no pixel depends on them.
    """
    picture = Png()
    critical: dict[bytes, memoryview] = {}
    previous = b""
    for kind, chunk, sound in chunks(data):
        if not critical and kind != b"IHDR":
            corrupt("it does not start with its header")
        if kind[:1].islower():
            told = bytes(content_of(chunk)[:TELLING_BYTES]) if sound else None
            read_ancillary(picture, kind, told, before_data=b"IDAT" not in critical)
            previous = kind
            continue
        if kind in critical and (kind != b"IDAT" or previous != b"IDAT"):
            corrupt(f"it has a second {kind.decode()} chunk")
        critical[kind] = chunk
        previous = kind
        if kind == b"IDAT":
            picture.data.append(chunk)
    if b"IDAT" not in critical:
        corrupt("it has no image data")
    read_header(picture, content_of(critical[b"IHDR"]))
    check_palette(picture, critical)
    kinds = (b"IHDR", b"PLTE") if picture.color_type == PALETTE else (b"IHDR",)
    picture.head = b"".join(critical[kind] for kind in kinds)
    if picture.animation:
        # The still image may be none of them.
        picture.frames = picture.animation + (not picture.data_is_frame)
    return picture


def content_of(chunk: memoryview) -> memoryview:
    return chunk[CHUNK_HEAD:-CHECKSUM]


def read_ancillary(picture: Png, kind: bytes, content: bytes | None, *, before_data: bool) -> None:
    """Note the content of a chunk in `TELLING`. content: None for a wrong checksum, and for all other chunks."""
    if kind == b"tRNS":
        # It must come before the data.
        picture.trns.append(content if before_data else None)
    elif kind == b"acTL" and content and len(content) == ACTL.size and before_data:
        picture.animation, _plays = ACTL.unpack(content)
    elif kind == b"fcTL" and before_data:
        picture.data_is_frame = True


def chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, bool]]:
    """Yield each chunk up to IEND: type, all its bytes, and whether its checksum is right, where that matters."""
    view = memoryview(data)
    offset = len(SIGNATURE)
    most = MAX_CHUNKS + len(data) // CHUNK_BYTES
    for _ in range(most):
        if offset + 12 > len(data):
            corrupt("it is cut short")
        (length,) = struct.unpack_from(">I", data, offset)
        kind = data[offset + 4 : offset + 8]
        end = offset + 12 + length
        if end > len(data):
            corrupt("it is cut short")
        if not kind.isalpha():
            corrupt("it has something that is not a chunk")
        # The first byte of a critical chunk's type is upper case (PNG, section 5.4).
        critical = kind[:1].isupper()
        sound = (critical or kind in TELLING) and zlib_ng.crc32(view[offset + 4 : end - 4]) == checksum_at(data, end)
        if critical and not sound:
            corrupt(f"the checksum of a {kind.decode()} chunk is wrong")
        if critical and kind not in {b"IHDR", b"PLTE", b"IDAT", b"IEND"}:
            detail = f"This PNG has a critical chunk, {kind.decode()}, that the PNG standard does not know."
            raise UnsupportedFormat(detail)
        yield kind, view[offset:end], sound
        if kind == b"IEND":
            return
        offset = end
    detail = f"This PNG has more than {most:,} chunks, more than encoders write into a file of its size."
    raise UnsupportedFormat(detail)


def checksum_at(data: bytes, end: int) -> int:
    return int.from_bytes(data[end - 4 : end], "big")


def check_palette(picture: Png, critical: dict[bytes, memoryview]) -> None:
    """Raise CorruptImage if a palette image has no valid palette before its data."""
    kinds, palette = list(critical), critical.get(b"PLTE")
    if palette and kinds.index(b"PLTE") > kinds.index(b"IDAT"):
        corrupt("its palette is in the wrong place")
    if picture.color_type == PALETTE and (not palette or len(content_of(palette)) not in PALETTE_BYTES):
        corrupt("its palette is missing or not whole")


def read_header(picture: Png, header: memoryview) -> None:
    """Read IHDR: size, bit depth, color type and the bytes of all filtered rows. Raises CorruptImage."""
    try:
        width, height, depth, color_type, compression, row_filter, interlace = struct.unpack(">IIBBBBB", header)
        bits = depth * SAMPLES[color_type]
    except (struct.error, KeyError):
        corrupt("its header is not valid")
    if not width or not height or compression or row_filter or interlace > 1:
        corrupt("its header is not valid")
    picture.size, picture.bit_depth, picture.color_type = (width, height), depth, color_type
    for left, top, across, down in ADAM7 if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            picture.passes.append(Pass(columns, rows, left, top, across, down))
            picture.row_bytes += rows * (1 + (columns * bits + 7) // 8)
