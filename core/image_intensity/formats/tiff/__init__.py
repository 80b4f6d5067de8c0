"""TIFF: its structure, its strips and tiles, and how they are decoded. Here is what needs no decoder."""

from __future__ import annotations

from image_intensity.errors import MeasurementError
from image_intensity.formats.tiff.directory import read_directory

# Byte order and version. The second pair is BigTIFF.
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, HEIGHT, STRIPS, TILES = 256, 257, 273, 324
# A picture with more strips or tiles is not measured in a moment, however small it is.
MOST_PARTS = 1000


def size(data: bytes) -> tuple[int, int]:
    """Return width and height in the first directory, unchecked. Raises LookupError if they are not found."""
    try:
        tags = read_directory(data)
        parts = sum(tags.entries[tag].values for tag in (STRIPS, TILES) if tag in tags.entries)
        if parts > MOST_PARTS:
            raise LookupError("many strips or tiles")
        return tags.number(WIDTH), tags.number(HEIGHT)
    except MeasurementError as error:
        raise LookupError("no size") from error
