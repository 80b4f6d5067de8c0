"""The structure of a PNG file (W3C PNG, third edition): what Pillow would let pass, or stumble over needlessly."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from contract.problems import ProblemCode, ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Color types of IHDR -> samples per pixel (PNG, table 11.1).
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# The one color type that means indices.
PALETTE = b"\x03"
# Adam7: first column, first row, column step and row step of each pass (PNG, section 8.1).
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# How much is inflated at a time when rows are counted: bounded, whatever the stream expands to.
INFLATE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Png:
    """A file whose critical chunks are whole.

    size: width and height in pixels. row_bytes: bytes of all filtered rows once inflated. idat: the zlib stream.
    essentials: the file again with its critical chunks alone, which is all that pixels are made of.
    """

    size: tuple[int, int]
    row_bytes: int
    idat: bytes
    essentials: bytes

    def verify(self) -> None:
        """Raise ProblemError, corrupt_image, unless the zlib stream holds every row.

        Pillow does not: where a stream ends early it leaves the missing rows black and says nothing.
        """
        stream = zlib.decompressobj()
        missing = self.row_bytes
        pending = self.idat
        try:
            while missing > 0 and not stream.eof:
                rows = stream.decompress(pending, INFLATE_BYTES)
                pending = stream.unconsumed_tail
                missing -= len(rows)
                if not rows and not pending:
                    break
        except zlib.error as error:
            raise ProblemError(ProblemCode.CORRUPT_IMAGE, "The compressed data of this PNG is damaged.") from error
        if missing > 0:
            corrupt("its last rows are missing")


def read(data: bytes) -> Png:
    """Read the chunks of `data`, a file that starts with `SIGNATURE`.

    Raises ProblemError: corrupt_image when a critical chunk is damaged, missing or out of place, or the file is cut;
    unsupported_format when it has a critical chunk that the standard does not know. Damage in ancillary chunks, and
    bytes after the end, are passed over: no pixel depends on them.
    """
    critical: dict[bytes, bytearray] = {}
    essentials = bytearray(SIGNATURE)
    previous = b""
    for kind, content, chunk in chunks(data):
        if not critical and kind != b"IHDR":
            corrupt("it does not start with its header")
        # The first byte of an ancillary chunk's type is lower case (PNG, section 5.4).
        if kind[:1].isupper():
            if kind in critical and (kind != b"IDAT" or previous != b"IDAT"):
                corrupt(f"it has a second {kind.decode()} chunk")
            critical.setdefault(kind, bytearray()).extend(content)
            essentials += chunk
        previous = kind
    if b"IDAT" not in critical:
        corrupt("it has no image data")
    check_palette(critical)
    size, row_bytes = read_header(critical[b"IHDR"])
    return Png(size=size, row_bytes=row_bytes, idat=bytes(critical[b"IDAT"]), essentials=bytes(essentials))


def chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Yield type, content and whole bytes of each chunk up to IEND, the checksums of critical ones verified."""
    view = memoryview(data)
    offset = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        if offset + 12 > len(data):
            corrupt("it is cut short")
        (length,) = struct.unpack_from(">I", data, offset)
        kind = data[offset + 4 : offset + 8]
        end = offset + 12 + length
        if end > len(data):
            corrupt("it is cut short")
        if not kind.isalpha():
            corrupt("it has something that is not a chunk")
        if kind[:1].isupper():
            (checksum,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(view[offset + 4 : end - 4]) != checksum:
                corrupt(f"the checksum of a {kind.decode()} chunk is wrong")
            if kind not in {b"IHDR", b"PLTE", b"IDAT", b"IEND"}:
                detail = f"This PNG has a critical chunk, {kind.decode()}, that the PNG standard does not know."
                raise ProblemError(ProblemCode.UNSUPPORTED_FORMAT, detail)
        yield kind, view[offset + 8 : end - 4], view[offset:end]
        offset = end


def check_palette(critical: dict[bytes, bytearray]) -> None:
    """Raise ProblemError, corrupt_image, for a palette image without a palette of whole colors before its data."""
    kinds = list(critical)
    palette = critical.get(b"PLTE", b"")
    if b"PLTE" in critical and kinds.index(b"PLTE") > kinds.index(b"IDAT"):
        corrupt("its palette is in the wrong place")
    if critical[b"IHDR"][9:10] == PALETTE and (not palette or len(palette) % 3):
        corrupt("its palette is missing or not whole")


def read_header(header: bytearray) -> tuple[tuple[int, int], int]:
    """Return the size in pixels and the bytes of all filtered rows. Raises ProblemError: corrupt_image."""
    try:
        width, height, depth, color_type, compression, row_filter, interlace = struct.unpack(">IIBBBBB", header)
        bits = depth * SAMPLES[color_type]
    except (struct.error, KeyError):
        corrupt("its header is not valid")
    if not width or not height or compression or row_filter or interlace > 1:
        corrupt("its header is not valid")
    passes = ADAM7 if interlace else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return (width, height), total


def corrupt(reason: str) -> NoReturn:
    """Refuse the file."""
    raise ProblemError(ProblemCode.CORRUPT_IMAGE, f"This PNG is damaged: {reason}.")
