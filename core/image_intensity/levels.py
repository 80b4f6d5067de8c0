"""Pixels to counts of gray values, in one pass over strips that fit the CPU's cache. The statistics need no more.

Levels are pairs of an alpha, 0 (transparent) to 255 (opaque), and the counts of the pixels that have it by gray value:
int64 of shape (256,), or (65536,) or (4096,) where the file has gray of 16 or 12 bits. Transparency is then arithmetic
on counts.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from image_intensity.errors import UnsupportedFormat
from image_intensity.options import LUMA_FORMULAS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from image_intensity.formats import Structure
    from image_intensity.options import Alpha, Luma, Options
    from image_intensity.pixels import Pixels

    Counts = NDArray[np.int64]
    Levels = list[tuple[int, Counts]]

OPAQUE = 255
VALUES = 256


def count(pixels: Pixels, structure: Structure, options: Options) -> Counts:
    """Return the counts of the gray values of a picture under `options`, of shape (256,), (4096,) or (65536,).

    With alpha="weight" a pixel counts its alpha. Raises UnsupportedFormat or CorruptImage when `options` asks for a
    transparency that cannot be told.
    """
    luma = options.luma
    if options.alpha == "ignore":
        return opaque_levels(pixels, luma)
    transparent = structure.transparency()
    if pixels.mode in {"LA", "RGBA"}:
        levels = alpha_channel_levels(pixels, luma)
    elif not transparent:
        levels = [(OPAQUE, opaque_levels(pixels, luma))]
    elif pixels.mode == "P":
        levels = palette_levels(pixels, luma, transparent)
    elif pixels.mode == "RGB":
        levels = color_key_levels(pixels, luma, transparent)
    else:
        levels = gray_key_levels(opaque_levels(pixels, luma), transparent[0])
    return apply_alpha(levels, options.alpha)


def opaque_levels(pixels: Pixels, luma: Luma) -> Counts:
    """Return the counts of the gray values. Alpha is ignored."""
    if pixels.mode == "P":
        values, numbers = palette_counts(pixels, luma)
        return np.bincount(values, weights=numbers, minlength=VALUES).astype(np.int64)
    if pixels.mode.startswith("I;16"):
        return sum_counts(np.bincount(np.asarray(strip).ravel(), minlength=pixels.values) for strip in pixels.strips)
    return sum_counts(np.array(gray(strip, luma).histogram(), np.int64) for strip in pixels.strips)


def sum_counts(counts: Iterator[NDArray[np.intp]]) -> Counts:
    total = next(counts).astype(np.int64)
    for more in counts:
        total += more
    return total


def gray(image: Image.Image, luma: Luma) -> Image.Image:
    """Return the gray values of an 8-bit image, in mode L, or 1 as it is: its histogram is the same."""
    if image.mode == "CMYK":
        image = image.convert("RGB")
    if image.mode in {"1", "L"}:
        return image
    if luma == "bt601" or image.mode == "LA":
        return image.convert("L")
    return Image.fromarray(gray_values(np.asarray(image), luma))


def gray_values(colors: NDArray[np.uint8], luma: Luma) -> NDArray[np.uint8]:
    """Return the gray values, shape (...), of colors of shape (..., 3 or more), red, green and blue first."""
    (red, green, blue), divisor = LUMA_FORMULAS[luma]
    wide = colors.astype(np.uint32)
    total = wide[..., 0] * red + wide[..., 1] * green + wide[..., 2] * blue + divisor // 2
    return (total // divisor).astype(np.uint8)


def palette_counts(pixels: Pixels, luma: Luma) -> tuple[NDArray[np.uint8], Counts]:
    """Return the gray value of every index of a palette, and how many pixels have that index, both of shape (256,)."""
    first = next(pixels.strips)
    strips = itertools.chain([first], pixels.strips)
    return palette_gray(first, luma), sum_counts(np.array(strip.histogram(), np.int64) for strip in strips)


def palette_gray(image: Image.Image, luma: Luma) -> NDArray[np.uint8]:
    """Return the gray value of every index of a palette, shape (256,)."""
    indices = Image.frombytes("P", (VALUES, 1), bytes(range(VALUES)))
    indices.putpalette(image.getpalette("RGB") or b"")
    return gray_values(np.asarray(indices.convert("RGB"))[0], luma)


def alpha_channel_levels(pixels: Pixels, luma: Luma) -> Levels:
    total = sum_counts(
        np.bincount(
            (np.asarray(strip.getchannel("A"), np.uint16).ravel() << 8) | np.asarray(gray(strip, luma)).ravel(),
            minlength=VALUES * VALUES,
        )
        for strip in pixels.strips
    )
    return list(enumerate(total.reshape(VALUES, VALUES)))


def palette_levels(pixels: Pixels, luma: Luma, alphas: tuple[int, ...]) -> Levels:
    """Return the levels of an image whose first indices have alphas of their own (PNG, section 11.3.1.1)."""
    levels = [(alpha, np.zeros(VALUES, np.int64)) for alpha in range(VALUES)]
    for index, (value, number) in enumerate(zip(*palette_counts(pixels, luma), strict=True)):
        levels[alphas[index] if index < len(alphas) else OPAQUE][1][value] += number
    return levels


def color_key_levels(pixels: Pixels, luma: Luma, key: tuple[int, ...]) -> Levels:
    """Return the levels of an RGB image in which one color is transparent."""
    total = sum_counts(
        np.bincount(
            (np.asarray(strip) != key).any(axis=-1).ravel() * VALUES + np.asarray(gray(strip, luma)).ravel(),
            minlength=2 * VALUES,
        )
        for strip in pixels.strips
    )
    return [(0, total[:VALUES]), (OPAQUE, total[VALUES:])]


def gray_key_levels(counts: Counts, key: int) -> Levels:
    """Return the levels of a gray image in which one value is transparent."""
    transparent = np.zeros_like(counts)
    transparent[key] = counts[key]
    return [(0, transparent), (OPAQUE, counts - transparent)]


def apply_alpha(levels: Levels, alpha: Alpha) -> Counts:
    """Return the counts under a policy other than ignore.

    weight: a pixel counts its alpha. black, white: a gray value v becomes (a v + (255 - a) b + 127) // 255 on a
    background b of 0 or of the highest value, which rounds to the nearest.
    Raises UnsupportedFormat when nothing has any weight.
    """
    size = levels[0][1].size
    if alpha == "weight":
        weighted: Counts = np.sum([opacity * counts for opacity, counts in levels], axis=0)
        if not weighted.any():
            detail = "Every pixel of this image is fully transparent, so that with alpha=weight none of them counts."
            raise UnsupportedFormat(detail)
        return weighted
    background = size - 1 if alpha == "white" else 0
    values = np.arange(size, dtype=np.int64)
    total = np.zeros(size, np.int64)
    for opacity, counts in levels:
        np.add.at(total, (opacity * values + (OPAQUE - opacity) * background + OPAQUE // 2) // OPAQUE, counts)
    return total
