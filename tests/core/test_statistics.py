"""The statistics are those that NumPy computes from the pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_intensity import Options, Statistics, summary
from tests.core.samples import encoded, measured, pixels


def by_numpy(values: np.ndarray, top: int) -> Statistics:
    """The statistics of values from 0 to `top`, from the pixels themselves and on the scale 0 to 255."""
    _, numbers = np.unique(values, return_counts=True)
    shares = numbers / values.size
    unit = top // 255
    percents = (1, 5, 25, 75, 95, 99)
    return Statistics(
        minimum=values.min() / unit,
        maximum=values.max() / unit,
        median=float(np.median(values)) / unit,
        standard_deviation=float(values.std(dtype=np.float64)) / unit,
        percentiles={str(p): np.percentile(values, p, method="inverted_cdf") / unit for p in percents},
        entropy=-float((shares * np.log2(shares)).sum()),
        share_black=float((values == 0).mean()),
        share_white=float((values == top).mean()),
    )


def assert_same(statistics: Statistics, expected: Statistics) -> None:
    for name in ("minimum", "maximum", "median", "percentiles", "share_black", "share_white"):
        assert getattr(statistics, name) == getattr(expected, name), name
    assert math.isclose(statistics.standard_deviation, expected.standard_deviation, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(statistics.entropy, expected.entropy, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_statistics_of_8_bits_are_those_of_the_pixels(mode: str) -> None:
    image = pixels(mode)
    gray = np.asarray(image.convert("L"))
    result = measured(encoded(image, "PNG"))
    assert_same(result.statistics, by_numpy(gray, 255))
    assert result.histogram == tuple(np.bincount(gray.ravel(), minlength=256))
    assert result.average_intensity == gray.mean()
    assert result.bit_depth == 8


def test_statistics_of_16_bits_are_at_full_depth() -> None:
    image = pixels("I;16")
    values = np.asarray(image)
    result = measured(encoded(image, "PNG"))
    assert_same(result.statistics, by_numpy(values, 65535))
    assert result.histogram == tuple(np.bincount(np.rint(values / 257).astype(int).ravel(), minlength=256))
    assert (result.bit_depth, result.stored_bit_depth) == (16, 16)
    # A 16-bit image with many levels has an entropy of more than 8 bits.
    assert result.statistics.entropy > 8


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300))
def test_statistics_of_any_values_are_those_of_numpy(values: list[int]) -> None:
    counts = np.bincount(values, minlength=256)
    assert_same(summary.statistics(counts), by_numpy(np.array(values), 255))
    assert summary.mean(counts) == sum(values) / len(values)


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=300))
def test_statistics_of_any_16_bit_values_are_those_of_numpy(values: list[int]) -> None:
    assert_same(summary.statistics(np.bincount(values, minlength=65536)), by_numpy(np.array(values), 65535))


@pytest.mark.parametrize("levels", [256, 65536])
@pytest.mark.parametrize("most", [2**16 - 1, 10**9])
def test_sums_of_more_than_63_bits_are_exact(levels: int, most: int) -> None:
    # Far more than the limits allow: 200 million pixels of 255 have the sum 51,000,000,000.
    counts = np.random.default_rng(1).integers(most // 2, most, levels, endpoint=True)
    counts[-1] = 51 * 10**9
    numbers = counts.tolist()
    unit, total = (levels - 1) // 255, sum(numbers)
    first = sum(value * number for value, number in enumerate(numbers))
    second = sum(value * value * number for value, number in enumerate(numbers))

    assert summary.mean(counts) == first / (total * unit)
    assert summary.statistics(counts).standard_deviation == math.sqrt(total * second - first**2) / total / unit


def test_one_value_has_no_spread_and_no_entropy() -> None:
    statistics = measured(encoded(Image.new("L", (5, 4), 255), "PNG")).statistics
    assert (statistics.standard_deviation, statistics.entropy, statistics.share_white) == (0.0, 0.0, 1.0)
    assert math.copysign(1, statistics.entropy) == 1
    assert set(statistics.percentiles.values()) == {255.0}


def test_weighted_statistics_are_those_of_pixels_repeated_by_their_alpha() -> None:
    image = pixels("LA", (13, 11))
    gray, alpha = (np.asarray(band).ravel() for band in image.split())
    result = measured(encoded(image, "PNG"), Options(alpha="weight"))
    assert_same(result.statistics, by_numpy(np.repeat(gray, alpha), 255))
    assert result.average_intensity == np.repeat(gray, alpha).mean()
