"""Images for the tests of the core: made here, encoded by Pillow or byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from image_intensity import FORMATS, Limits, Measurement, Options, measure

# A pixel count of 100 million would be refused by default; tests of limits set their own.
MAX_PIXELS = 64_000_000


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's
    """The file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def measured(data: bytes, options: Options | None = None, max_pixels: int = MAX_PIXELS) -> Measurement:
    """The measurement of a file."""
    return measure(data, options or Options(), Limits(formats=tuple(FORMATS), max_pixels=max_pixels))


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
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


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
