"""Images for the tests of the core, and what it says of them."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from image_intensity import FORMATS, Limits, MeasurementError, Options, measure
from tests.core.images import Chunk, encode, write_chunks

if TYPE_CHECKING:
    from image_intensity import ImageFormat, Measurement

# A pixel count of 100 million would be refused by default; tests of limits set their own.
MAX_PIXELS = 64_000_000
encoded = encode


def measured(data: bytes, options: Options | None = None, max_pixels: int = MAX_PIXELS) -> Measurement:
    return measure(data, options or Options(), Limits(formats=tuple(FORMATS), max_pixels=max_pixels))


def measurement_of(
    data: bytes, allowed_formats: tuple[ImageFormat, ...] = ("PNG", "JPEG"), max_pixels: int = MAX_PIXELS
) -> Measurement:
    return measure(data, limits=Limits(formats=allowed_formats, max_pixels=max_pixels))


def intensity_of(data: bytes) -> float:
    return measurement_of(data).average_intensity


def problem_of(
    data: bytes, allowed_formats: tuple[ImageFormat, ...] = ("PNG", "JPEG"), max_pixels: int = MAX_PIXELS
) -> type[MeasurementError]:
    """The error that a file is refused with; fails when it is measured."""
    with pytest.raises(MeasurementError) as refusal:
        measurement_of(data, allowed_formats, max_pixels)
    return refusal.type


def refusal(data: bytes) -> str:
    """The code and the sentence with which a file of any format is refused; empty if it is measured."""
    try:
        measured(data)
    except MeasurementError as error:
        return f"{error.code}: {error}"
    return ""


def pixels(mode: str, size: tuple[int, int] = (61, 47), seed: int = 1) -> Image.Image:
    """Random pixels in a Pillow mode; the last row is never all zero."""
    rng = np.random.default_rng(seed)
    width, height = size
    bands = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}
    if mode == "1":
        return Image.fromarray(rng.integers(0, 2, (height, width), np.uint8) * 255).convert("1")
    if mode == "P":
        image = Image.fromarray(rng.integers(0, 200, (height, width), np.uint8), "L").copy()
        image.putpalette(rng.integers(0, 256, 600, np.uint8).tobytes())
        return image
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, (height, width), np.uint16))
    return Image.fromarray(rng.integers(0, 256, (height, width, *bands[mode]), np.uint8), mode)


def chunk(kind: bytes, content: bytes) -> bytes:
    return write_chunks([Chunk(kind, content)], head=b"")


def png(  # noqa: PLR0913 - a file's parts
    rows: bytes,
    size: tuple[int, int],
    depth: int,
    color_type: int,
    *,
    interlace: int = 0,
    before: bytes = b"",
    raw_idat: bytes | None = None,
) -> bytes:
    """A PNG of filtered `rows`, with the chunks `before` ahead of its data (or with `raw_idat` as its data)."""
    header = struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, interlace)
    idat = zlib.compress(rows) if raw_idat is None else raw_idat
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), before, chunk(b"IDAT", idat), chunk(b"IEND", b"")]
    return b"".join(parts)
