"""Some rows of strips or tiles as a TIFF of their own, with the tags that pixels depend on and no others.

A damaged tag makes Pillow drop all that follow, it turns pictures by their orientation, and it reads all pages' tags.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from zlib_ng import zlib_ng

from image_intensity.formats.png.rows import LAST_BLOCK, ZLIB_HEADER, stored
from image_intensity.formats.tiff import kinds, structure
from image_intensity.formats.tiff.picture import BLACK_IS_ZERO, BYTE, DEEP, DEFLATE, NONE, PALETTE, WHITE_IS_ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from image_intensity.formats.tiff.picture import Tiff

SHORT, LONG = 3, 4


def rebuilt(picture: Tiff, rows: int, parts: Sequence[bytes | memoryview]) -> io.BytesIO:
    """Return a TIFF with these strips or tiles, `rows` rows of pixels in all. Deflated ones have been inflated.

    Inflated data goes on uncompressed, or, where libtiff has to undo a predictor, as zlib streams of stored blocks: no
    bomb is inflated twice. Joined strips of uncompressed data save Pillow the time that it takes for each.
    """
    compression, height = picture.compression, picture.part[1]
    if not picture.tiled and (picture.deflated or compression == NONE):
        joined = len(parts) // picture.planes
        parts = [b"".join(parts[start : start + joined]) for start in range(0, len(parts), joined)]
        height = rows
    if picture.deflated:
        compression = DEFLATE if picture.predictor > 1 else NONE
        parts = [zlib_stream(part) for part in parts] if compression == DEFLATE else parts
    tags = described(picture, rows, compression)
    if picture.tiled:
        tags |= {structure.TILE_WIDTH: [picture.part[0]], structure.TILE_HEIGHT: [height]}
        places, sizes = structure.TILE_OFFSETS, structure.TILE_BYTES
    else:
        tags |= {structure.ROWS_PER_STRIP: [height]}
        places, sizes = structure.STRIP_OFFSETS, structure.STRIP_BYTES
    tags[sizes] = [len(part) for part in parts]
    return io.BytesIO(b"".join(pieces(byte_order(picture), tags, places, parts)))


def byte_order(picture: Tiff) -> str:
    """Return the order of bytes. Pillow knows 12-bit samples in one order alone, and they are the same in both."""
    return picture.order if picture.bit_depth == DEEP else "<"


def described(picture: Tiff, rows: int, compression: int) -> dict[int, list[int]]:
    """Return the tags that describe the pixels. Gray of more than 8 bits is inverted later, not by Pillow."""
    deep = picture.bit_depth > BYTE and picture.photometric == WHITE_IS_ZERO
    tags = {
        structure.WIDTH: [picture.size[0]],
        structure.HEIGHT: [rows],
        kinds.BITS_PER_SAMPLE: [picture.bit_depth] * picture.samples,
        kinds.COMPRESSION: [compression],
        kinds.PHOTOMETRIC: [BLACK_IS_ZERO if deep else picture.photometric],
        kinds.SAMPLES_PER_PIXEL: [picture.samples],
        kinds.PLANAR: [kinds.PLANES if picture.planar else 1],
    }
    if picture.predictor > 1:
        tags[kinds.PREDICTOR] = [picture.predictor]
    if picture.extra:
        tags[kinds.EXTRA_SAMPLES] = [*picture.extra]
    if picture.photometric == PALETTE:
        tags[structure.COLOR_MAP] = picture.palette
    return tags


def pieces(
    order: str, tags: dict[int, list[int]], places: int, parts: Sequence[bytes | memoryview]
) -> Iterator[bytes | memoryview]:
    """Yield the parts of a file: header, directory, values that do not fit into it, strips or tiles."""
    short = {kinds.BITS_PER_SAMPLE, kinds.EXTRA_SAMPLES, structure.COLOR_MAP}
    tags[places] = [0] * len(parts)
    forms = {tag: "H" if tag in short else "I" for tag in sorted(tags)}
    start = 8 + 2 + 12 * len(tags) + 4
    first = start + sum(outside(values, forms[tag]) for tag, values in tags.items())
    for index, part in enumerate(parts):
        tags[places][index] = first
        first += len(part)
    yield struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8) + struct.pack(f"{order}H", len(tags))
    values = []
    for tag, form in forms.items():
        content = struct.pack(f"{order}{len(tags[tag])}{form}", *tags[tag])
        yield struct.pack(f"{order}HHI", tag, SHORT if form == "H" else LONG, len(tags[tag]))
        if size := outside(tags[tag], form):
            yield struct.pack(f"{order}I", start)
            values.append(content)
            start += size
        else:
            yield content.ljust(4, b"\0")
    yield bytes(4)
    yield from values
    yield from parts


def outside(values: list[int], form: str) -> int:
    """Return how many bytes of values do not fit into a directory."""
    size = struct.calcsize(f"<{len(values)}{form}")
    return size if size > struct.calcsize("<I") else 0


def zlib_stream(content: bytes | memoryview) -> bytes:
    """Return content as a zlib stream of stored blocks."""
    checksum = struct.pack(">I", zlib_ng.adler32(content))
    return b"".join([ZLIB_HEADER, *stored(memoryview(content)), LAST_BLOCK, checksum])
