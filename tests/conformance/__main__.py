"""Make the conformance set anew: `python -m tests.conformance` writes the images and what they must measure as.

The expected values are computed from the pixels by the formulas of docs/measurement.md, in whole numbers and without
the processor; where a file is a JPEG, from the pixels that Pillow decodes.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tests.core import tiffs
from tests.core.images import encode, filtered_rows
from tests.core.images import luma as gray
from tests.core.samples import chunk
from tests.core.samples import png as png_of

FOLDER = Path(__file__).parent
SIZE = 16


def png(samples: np.ndarray, depth: int, color_type: int, extra: bytes = b"") -> bytes:
    """A PNG without filters of samples of shape (height, width) or (height, width, channels)."""
    height, width = samples.shape[:2]
    stream = zlib.compress(filtered_rows(samples.reshape(height, width, -1), depth), 9)
    return png_of(b"", (width, height), depth, color_type, before=extra, raw_idat=stream)


def smooth(seed: int) -> Image.Image:
    colors = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    return Image.fromarray(colors).resize((40, 40), Image.Resampling.BICUBIC)


def average(values: np.ndarray, unit: Fraction | int = 1) -> float:
    """The float64 nearest to the mean of whole numbers over `unit`."""
    return float(Fraction(int(values.sum())) / (values.size * unit))


class Case(NamedTuple):
    """A file, and its gray values in rows and columns, which count over `unit`."""

    data: bytes
    values: np.ndarray
    unit: Fraction | int = 1

    def average(self, region: str = "") -> float:
        """The average of the image, or of a region "x,y,width,height" of it."""
        x, y, width, height = map(int, region.split(",")) if region else (0, 0, *self.values.shape[::-1])
        return average(self.values[y : y + height, x : x + width], self.unit)

    def regions(self) -> list[str]:
        """The regions with an expected value: in the middle, the last row and column, and one pixel."""
        height, width = self.values.shape
        if height == 1:
            return ["1,0,2,1"]
        return ["5,3,7,9", f"{width - 3},{height - 2},3,2", "0,0,1,1"]


def png_cases() -> dict[str, Case]:
    rng = np.random.default_rng(601)
    cases: dict[str, Case] = {}
    for depth in (1, 2, 4, 8, 16):
        samples = rng.integers(0, 1 << depth, (SIZE, SIZE))
        top = (1 << depth) - 1
        unit = 257 if depth == 16 else 1
        values = samples if depth == 16 else samples * (255 // top)
        cases[f"gray-{depth}-bit.png"] = Case(png(samples, depth, 0), values, unit)
    ramp = np.arange(65536).reshape(256, 256)
    cases["gray-16-bit-ramp.png"] = Case(png(ramp, 16, 0), ramp, 257)
    colors = rng.integers(0, 256, (SIZE, SIZE, 3))
    cases["rgb.png"] = Case(png(colors, 8, 2), gray(colors))
    alpha = rng.integers(0, 256, (SIZE, SIZE, 1))
    cases["rgba.png"] = Case(png(np.concatenate([colors, alpha], axis=2), 8, 6), gray(colors))
    cases["gray-alpha.png"] = Case(png(np.concatenate([colors[..., :1], alpha], axis=2), 8, 4), colors[..., 0])
    palette = rng.integers(0, 256, (16, 3))
    indices = rng.integers(0, 16, (SIZE, SIZE))
    entries = chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    cases["palette.png"] = Case(png(indices, 4, 3, entries), gray(palette[indices]))
    hidden = entries + chunk(b"tRNS", bytes(range(0, 256, 16)))
    cases["palette-alpha.png"] = Case(png(indices, 4, 3, hidden), gray(palette[indices]))
    gamma = chunk(b"gAMA", struct.pack(">I", 100_000))
    cases["rgb-linear-gamma.png"] = Case(png(colors, 8, 2, gamma), gray(colors))
    primaries = np.eye(3, dtype=int)[None] * 255
    cases["red-green-blue.png"] = Case(png(primaries, 8, 2), np.array([[76, 150, 29]]))
    return cases


def jpeg_cases() -> dict[str, Case]:
    image = smooth(709)
    files = {
        "rgb-444.jpg": encode(image, "JPEG", quality=90, subsampling=0),
        "rgb-420.jpg": encode(image, "JPEG", quality=90, subsampling=2),
        "rgb-progressive.jpg": encode(image, "JPEG", quality=90, progressive=True),
        "gray.jpg": encode(image.convert("L"), "JPEG", quality=90),
        "cmyk.jpg": encode(image.convert("CMYK"), "JPEG", quality=90),
        "rgb-jpeg.tif": encode(smooth(7), "TIFF", compression="jpeg", quality=90),
    }
    cases = {}
    for name, data in files.items():
        colors = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        cases[name] = Case(data, gray(colors))
    return cases


def webp_cases() -> dict[str, Case]:
    """Files and their gray values by name: of lossless ones, those of the pixels that they were made of."""
    rng = np.random.default_rng(2020)
    colors = rng.integers(0, 256, (SIZE, SIZE, 4), np.uint8)
    few = rng.integers(0, 256, (12, 3), np.uint8)[rng.integers(0, 12, (SIZE, SIZE))]
    shades = np.repeat(rng.integers(0, 256, (SIZE, SIZE, 1), np.uint8), 3, axis=2)
    primaries = np.eye(3, dtype=np.uint8)[None] * 255
    lossless = {
        "rgb-lossless.webp": colors[..., :3],
        "rgba-lossless.webp": colors,
        "few-colors-lossless.webp": few,
        "gray-lossless.webp": shades,
        "red-green-blue-lossless.webp": primaries,
    }
    cases = {
        name: Case(encode(Image.fromarray(pixels), "WEBP", lossless=True, exact=True), gray(pixels))
        for name, pixels in lossless.items()
    }
    soft = Image.fromarray(colors).resize((40, 40), Image.Resampling.BICUBIC)
    frames: dict[str, Any] = {"save_all": True, "append_images": [soft.rotate(90)]}
    lossy = {
        "rgb-lossy.webp": encode(soft.convert("RGB"), "WEBP", quality=80),
        "rgb-lossy-coarse.webp": encode(soft.convert("RGB"), "WEBP", quality=10, method=6),
        "rgba-lossy.webp": encode(soft, "WEBP", quality=80),
        "animation-lossy.webp": encode(soft, "WEBP", quality=80, **frames),
        "animation-lossless.webp": encode(soft, "WEBP", lossless=True, **frames),
    }
    for name, data in lossy.items():
        cases[name] = Case(data, gray(np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))))
    return cases


def tiff_cases() -> dict[str, Case]:
    rng = np.random.default_rng(1992)
    cases: dict[str, Case] = {}
    bits = rng.integers(0, 2, (SIZE, SIZE))
    data = tiffs.image(bits, 1, tiffs.WHITE_IS_ZERO, compression=tiffs.PACKBITS, rows=5)
    cases["gray-1-bit-white.tif"] = Case(data, 255 * (1 - bits))
    gray_4 = rng.integers(0, 16, (SIZE, SIZE))
    cases["gray-4-bit.tif"] = Case(tiffs.image(gray_4, 4, rows=3), gray_4 * 17)
    gray_12 = rng.integers(0, 1 << 12, (SIZE, SIZE))
    cases["gray-12-bit.tif"] = Case(tiffs.image(gray_12, 12, order=">"), gray_12, Fraction(4095, 255))
    gray_16 = rng.integers(0, 1 << 16, (SIZE, SIZE))
    data = tiffs.image(gray_16, 16, tiffs.WHITE_IS_ZERO, compression=tiffs.DEFLATE)
    cases["gray-16-bit-white.tif"] = Case(data, 65535 - gray_16, 257)
    colors = rng.integers(0, 256, (SIZE, SIZE, 3))
    cases["rgb.tif"] = Case(tiffs.image(colors, 8, tiffs.RGB), gray(colors))
    deep = colors * 256 + rng.integers(0, 256, colors.shape)
    cases["rgb-16-bit.tif"] = Case(tiffs.image(deep, 16, tiffs.RGB, order=">", rows=4), gray(colors))
    alpha = np.concatenate([colors, rng.integers(0, 256, (SIZE, SIZE, 1))], axis=2)
    data = tiffs.image(alpha, 8, tiffs.RGB, compression=tiffs.DEFLATE, big=True, more={tiffs.EXTRA: [2]})
    cases["rgba-bigtiff.tif"] = Case(data, gray(colors))
    palette, indices = rng.integers(0, 1 << 16, (3, 16)), rng.integers(0, 16, (SIZE, SIZE))
    data = tiffs.image(indices, 4, tiffs.INDEXED, more={tiffs.PALETTE: palette.ravel().tolist()})
    cases["palette.tif"] = Case(data, gray((palette >> 8).T[indices]))
    # Pillow has the coder.
    data = encode(Image.fromarray(colors.astype(np.uint8)), "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    cases["rgb-lzw.tif"] = Case(data, gray(colors))
    inks = rng.integers(0, 256, (SIZE, SIZE, 4)).astype(np.uint8)
    converted = np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
    cases["cmyk.tif"] = Case(tiffs.image(inks, 8, tiffs.CMYK), gray(converted))
    return cases


def main() -> None:
    cases = png_cases() | jpeg_cases() | webp_cases() | tiff_cases()
    for name, case in cases.items():
        (FOLDER / name).write_bytes(case.data)
    expected = {name: case.average() for name, case in cases.items()}
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")
    (FOLDER / "expected-regions.json").write_text(json.dumps(expected_regions(cases), indent=2) + "\n")


def expected_regions(cases: dict[str, Case]) -> dict[str, dict[str, float]]:
    return {name: {region: case.average(region) for region in case.regions()} for name, case in cases.items()}


if __name__ == "__main__":
    main()
