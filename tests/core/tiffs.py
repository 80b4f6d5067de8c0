"""Makes TIFFs for these tests, byte by byte: any tags, strips or tiles, and pages."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Tags = Mapping[int, Sequence[int] | bytes]

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
PALETTE, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, EXTRA, FORMAT = 320, 322, 323, 324, 325, 338, 339
JPEG_TABLES = 347
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, INDEXED, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
NONE, LZW, JPEG, DEFLATE, PACKBITS = 1, 5, 7, 8, 32773
SHORT, LONG, UNDEFINED, LONG8 = 3, 4, 7, 16
# Tags that are written with 16 bits, as programs do.
SHORTS = {BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR, PREDICTOR, PALETTE, EXTRA, FORMAT}


def described(
    size: tuple[int, int], bits: int = 8, photometric: int = BLACK_IS_ZERO, samples: int = 1
) -> dict[int, list[int]]:
    width, height = size
    return {WIDTH: [width], HEIGHT: [height], BITS: [bits] * samples, PHOTOMETRIC: [photometric], SAMPLES: [samples]}


def tiff(tags: Tags, parts: Sequence[bytes], *, order: str = "<", big: bool = False, following: int = 0) -> bytes:
    """A TIFF of one page: its tags, and its strips or tiles, behind which a second page may be said to be.

    following: the place of the next directory.
    """
    places, sizes = (TILE_OFFSETS, TILE_BYTES) if TILE_WIDTH in tags else (STRIP_OFFSETS, STRIP_BYTES)
    entries: dict[int, Sequence[int] | bytes] = {**tags, places: [0] * len(parts), sizes: [len(part) for part in parts]}
    count, entry, word, offset = ("Q", "HHQ", 8, "Q") if big else ("H", "HHI", 4, "I")
    head = 16 if big else 8
    start = head + struct.calcsize(f"<{count}") + (struct.calcsize(f"<{entry}") + word) * len(entries) + word
    contents = {tag: packed(tag, values, order) for tag, values in entries.items()}
    first = start + sum(len(content) for _, content in contents.values() if len(content) > word)
    offsets = (first + np.cumsum([0, *map(len, parts)])[:-1]).tolist()
    contents[places] = packed(places, offsets, order)
    directory, outside = struct.pack(order + count, len(entries)), b""
    for tag, (kind, content) in sorted(contents.items()):
        values = entries[tag]
        directory += struct.pack(order + entry, tag, kind, len(values))
        if len(content) > word:
            directory += struct.pack(order + offset, start + len(outside))
            outside += content
        else:
            directory += content.ljust(word, b"\0")
    mark = b"II" if order == "<" else b"MM"
    header = struct.pack(f"{order}2sHHHQ", mark, 43, 8, 0, head) if big else struct.pack(f"{order}2sHI", mark, 42, head)
    return header + directory + struct.pack(order + offset, following) + outside + b"".join(parts)


def packed(tag: int, values: Sequence[int] | bytes, order: str) -> tuple[int, bytes]:
    if isinstance(values, bytes):
        return UNDEFINED, values
    kind, form = (SHORT, "H") if tag in SHORTS else (LONG, "I")
    return kind, struct.pack(f"{order}{len(values)}{form}", *values)


def rows_of(samples: NDArray[np.integer], bits: int, order: str = "<") -> list[bytes]:
    """The bytes of each row of samples of shape (height, width) or (height, width, channels)."""
    flat = samples.reshape(len(samples), -1)
    if bits == 16:
        return [row.astype(f"{order}u2").tobytes() for row in flat]
    places = np.arange(bits - 1, -1, -1)
    return [np.packbits(((row[:, None] >> places) & 1).astype(np.uint8).ravel()).tobytes() for row in flat]


def packbits(content: bytes) -> bytes:
    """PackBits data, without a repetition."""
    pieces = [content[start : start + 128] for start in range(0, len(content), 128)]
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


# Compressions that need no library.
PACKERS: dict[int, Callable[[bytes], bytes]] = {NONE: bytes, DEFLATE: zlib.compress, PACKBITS: packbits}


def image(  # noqa: PLR0913 - a file's parts
    samples: NDArray[np.integer],
    bits: int = 8,
    photometric: int = BLACK_IS_ZERO,
    *,
    compression: int = NONE,
    rows: int | None = None,
    order: str = "<",
    big: bool = False,
    more: Tags | None = None,
) -> bytes:
    """A TIFF of samples, in strips of some rows each."""
    height, width, *channels = samples.shape
    rows = rows or height
    content = rows_of(samples, bits, order)
    parts = [PACKERS[compression](b"".join(content[start : start + rows])) for start in range(0, height, rows)]
    tags = described((width, height), bits, photometric, *channels) | {COMPRESSION: [compression], ROWS: [rows]}
    return tiff({**tags, **(more or {})}, parts, order=order, big=big)
