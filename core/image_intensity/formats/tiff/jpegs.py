"""Strips and tiles of JPEG data (TIFF Technical Note 2): JPEG files, the tables of which may be in a tag of their own.

They are checked and decoded as files of the format JPEG, so that damage is found that libtiff only warns of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_intensity.formats.jpeg import SIGNATURE
from image_intensity.formats.jpeg.structure import ADOBE, ADOBE_HEAD, JFIF_SEGMENT, read
from image_intensity.formats.tiff.picture import RGB, YCBCR, corrupt

if TYPE_CHECKING:
    from image_intensity.formats.jpeg.picture import Jpeg
    from image_intensity.formats.tiff.picture import Tiff

START, END = SIGNATURE[:2], b"\xff\xd9"
# Photometric interpretation -> the color transform of an Adobe segment. TIFF says it in a tag, JPEG in this segment.
TRANSFORMS = {RGB: 0, YCBCR: 1}


def read_jpeg(picture: Tiff, index: int) -> Jpeg:
    """Return strip or tile `index` as a JPEG. Raises CorruptImage and UnsupportedFormat as for JPEG files.

    Also raises CorruptImage if its size, components or colors are not those that the tags tell.
    """
    part = picture.parts[index]
    tables = picture.tables or START + END
    if part[: len(SIGNATURE)] != SIGNATURE or not tables.startswith(START) or not tables.endswith(END):
        corrupt("a strip or tile is not JPEG data")
    transform = TRANSFORMS.get(picture.photometric, 0)
    told = ADOBE_HEAD + ADOBE + bytes(6) + bytes([transform]) if picture.photometric in TRANSFORMS else b""
    found = read(b"".join([START, told, tables[2:-2], part[2:]]))
    if found.transform != transform or (picture.photometric == RGB and JFIF_SEGMENT in found.essentials):
        corrupt("the colors of a strip or tile are not those of the page")
    across, _ = picture.grid
    width, height = picture.part
    if found.size not in {(width, height), (width, picture.part_rows(index // across))}:
        corrupt("a strip or tile has another size than the page says")
    if len(found.sampling) != picture.samples:
        corrupt("a strip or tile has other colors than the page says")
    return found
