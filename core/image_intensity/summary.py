"""Counts of gray values to statistics: pure arithmetic, in whole numbers up to the one division or root."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from image_intensity.measurement import PERCENTILES, WHITE, Statistics

if TYPE_CHECKING:
    from image_intensity.levels import Counts


def mean(counts: Counts) -> float:
    """Return the mean gray value on the scale 0 to 255: the float64 nearest to the true one."""
    # Whole numbers up to the division: 200 million pixels times an alpha of 255 times 65535 is far below 2 to the 63.
    return int(np.arange(counts.size) @ counts) * WHITE / (int(counts.sum()) * (counts.size - 1))


def histogram(counts: Counts) -> tuple[int, ...]:
    """Return 256 counts; a value of more than 8 bits counts at the nearest: of 16 bits, (value + 128) // 257."""
    highest = counts.size - 1
    nearest = (2 * WHITE * np.arange(counts.size) + highest) // (2 * highest)
    folded = np.zeros(WHITE + 1, np.int64)
    np.add.at(folded, nearest, counts)
    return tuple(folded.tolist())


def statistics(counts: Counts) -> Statistics:
    """Return the statistics of `counts`, which are not all zero. Formulas: docs/measurement.md."""
    values = np.flatnonzero(counts)
    numbers = counts[values]
    running = np.cumsum(numbers)
    total, highest = int(running[-1]), counts.size - 1

    def scaled(value: int, parts: int = 1) -> float:
        """Return a value, or one of some parts, on the scale 0 to 255: 257 of 65535 are 1."""
        return value * WHITE / (parts * highest)

    def at(rank: int) -> int:
        """Return the smallest value that at least `rank` pixels do not exceed."""
        return int(values[np.searchsorted(running, rank)])

    # Ranks are whole numbers, so that no rounding decides on which side of a step a percentile falls.
    lower, upper = at(-(-total // 2)), at(total // 2 + 1)
    return Statistics(
        minimum=scaled(int(values[0])),
        maximum=scaled(int(values[-1])),
        median=scaled(lower + upper, parts=2),
        standard_deviation=standard_deviation(values, numbers) / (highest / WHITE),
        percentiles={str(percent): scaled(at(-(-total * percent // 100))) for percent in PERCENTILES},
        entropy=entropy(numbers / total),
        share_black=int(counts[0]) / total,
        share_white=int(counts[-1]) / total,
    )


def standard_deviation(values: Counts, numbers: Counts) -> float:
    """Return the population's standard deviation, sqrt(n sum(x²) - sum(x)²) / n, exact up to the root."""
    total, first = int(numbers.sum()), int(values @ numbers)
    # In two parts, as the sum of squares may have more than 63 bits; the sum of all squares of 16 bits has 47.
    squares = values**2
    second = (int(squares @ (numbers >> 16)) << 16) + int(squares @ (numbers & 0xFFFF))
    return math.sqrt(total * second - first * first) / total


def entropy(shares: np.ndarray) -> float:
    """Return Shannon's entropy in bits, -sum(p log2 p); the shares are above 0 and sum to 1."""
    # Without the sum's 0.0, a single value would have the entropy -0.0.
    return float(0.0 - (shares * np.log2(shares)).sum())
