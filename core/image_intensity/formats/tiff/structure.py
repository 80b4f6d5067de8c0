"""The structure of a TIFF file: the tags of its first page that pixels depend on, and its strips or tiles, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats.tiff.directory import count_pages, read_directory
from image_intensity.formats.tiff.kinds import read_kind
from image_intensity.formats.tiff.picture import CMYK, JPEG, NONE, PALETTE, Tiff, corrupt, unsupported

if TYPE_CHECKING:
    from image_intensity.formats.tiff.directory import Directory

WIDTH, HEIGHT = 256, 257
STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
COLOR_MAP, JPEG_TABLES = 320, 347
# Of all Huffman and quantization tables (T.81, B.2.4).
MOST_TABLES = 1 << 12
# Each strip or tile costs time in Python, also an empty one, and one of JPEG some calls of a decoder: for CMYK six
# times as many. The slides of pathology have tiles of 256 x 256 pixels.
MAX_PARTS, MAX_JPEG_PARTS, MAX_CMYK_PARTS = 100_000, 20_000, 2_000
# Tiles may go beyond the picture. All of them have at most this many times its pixels, and some more.
MOST_TILED, FREE_TILED = 4, 1 << 26
# Pillow counts the bits of a row in an int.
ROW_BITS = 2**31 - 1 - 7 * 64
# A palette has 16-bit values.
LEAST_COLOR = 256


def read(data: bytes) -> Tiff:
    """Read the first page of `data`, a file that starts with one of the signatures.

    Raises CorruptImage when a tag that pixels depend on is damaged, missing or contradicts another one, or a strip or
    tile is outside the file or overlaps another one; UnsupportedFormat for kinds of TIFF that are not measured, and for
    more pages, strips or tiles than the limits allow.
    """
    tags = read_directory(data)
    picture = Tiff(frames=count_pages(tags), order=tags.order)
    read_kind(picture, tags)
    picture.size = tags.number(WIDTH), tags.number(HEIGHT)
    read_layout(picture, tags)
    read_parts(picture, tags)
    if picture.photometric == PALETTE:
        read_palette(picture, tags)
    if picture.compression == JPEG:
        picture.tables = tags.content(JPEG_TABLES, MOST_TABLES)
    return picture


def read_layout(picture: Tiff, tags: Directory) -> None:
    width, height = picture.size
    picture.tiled = TILE_WIDTH in tags.entries
    if picture.tiled:
        picture.part = tags.number(TILE_WIDTH), tags.number(TILE_HEIGHT)
    else:
        picture.part = width, min(tags.number(ROWS_PER_STRIP, height), height)
    if not all(picture.size + picture.part):
        corrupt("its size is not valid")
    if picture.part[0] * picture.bit_depth * picture.samples > ROW_BITS:
        raise UnsupportedFormat("The rows of this TIFF are too long to be measured.")
    across, down = picture.grid
    most = MAX_PARTS
    if picture.compression == JPEG:
        most = MAX_CMYK_PARTS if picture.photometric == CMYK else MAX_JPEG_PARTS
    if across * down * picture.planes > most:
        kind = f"with more than {most:,} strips or tiles"
        unsupported(kind, "Save it with larger ones.")
    tiled = across * down * picture.part[0] * picture.part[1]
    if tiled > MOST_TILED * width * height + FREE_TILED:
        unsupported("with tiles far larger than the picture", "Save it with smaller ones.")


def read_parts(picture: Tiff, tags: Directory) -> None:
    """Note the content of each strip or tile, in the order of the file's tags."""
    across, down = picture.grid
    most = across * down * picture.planes
    wanted = (TILE_OFFSETS, TILE_BYTES) if picture.tiled else (STRIP_OFFSETS, STRIP_BYTES)
    offsets, sizes = (tags.numbers(tag, most) for tag in wanted)
    if len(offsets) != most or len(sizes) != most:
        corrupt("some of its strips or tiles are missing")
    if 0 in offsets or 0 in sizes:
        unsupported("with missing strips or tiles (a sparse file)", "Save it with all of them.")
    check_places(offsets, sizes, len(tags.data))
    view = memoryview(tags.data)
    picture.parts = [view[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]
    if picture.compression == NONE:
        for index, part in enumerate(picture.parts):
            check_length(picture, index, len(part))
    if picture.planar:
        leave_out_planes(picture)


def leave_out_planes(picture: Tiff) -> None:
    """Leave out the planes of unspecified samples at the end. Pillow would stumble over them."""
    across, down = picture.grid
    while picture.extra and not picture.extra[-1]:
        picture.extra = picture.extra[:-1]
        picture.samples -= 1
    del picture.parts[across * down * picture.samples :]


def check_places(offsets: list[int], sizes: list[int], length: int) -> None:
    """Raise CorruptImage for a strip or tile that is outside the file, or overlaps another one."""
    if max(offsets) > length or max(sizes) > length:
        corrupt("it is cut short")
    starts, numbers = np.array(offsets), np.array(sizes)
    order = np.argsort(starts, kind="stable")
    ends = (starts + numbers)[order]
    if ends.max() > length:
        corrupt("it is cut short")
    if (ends[:-1] > starts[order][1:]).any():
        corrupt("its strips or tiles overlap")


def check_length(picture: Tiff, index: int, length: int) -> int:
    """Return how many bytes of samples strip or tile `index` has to have.

    Raises CorruptImage unless `length` is that. The last strip may also have the rows of a whole one.
    """
    across, down = picture.grid
    needed = picture.part_rows(index // across % down) * picture.row_bytes
    if length not in {needed, picture.part[1] * picture.row_bytes}:
        corrupt("a strip or tile is not as long as its rows")
    return needed


def read_palette(picture: Tiff, tags: Directory) -> None:
    """Note the palette. Raises UnsupportedFormat for one of 8-bit values, which decoders disagree about."""
    colors = 3 << picture.bit_depth
    values = tags.numbers(COLOR_MAP, colors)
    if len(values) != colors:
        corrupt("its palette is missing or not whole")
    if 0 < max(values) < LEAST_COLOR:
        unsupported("with a palette of 8-bit values", "Convert it to PNG.")
    picture.palette = values
