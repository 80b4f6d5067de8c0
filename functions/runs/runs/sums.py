"""The sums of a run, from its Parquet file: how many rows of which kind, and the distribution of the averages."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

# The averages are counted in bins of this width, the last one with 255 in it.
BINS, BIN_WIDTH = 16, 16
VALUES = """
SELECT count(*), count(average_intensity), CAST(coalesce(sum(image_size_bytes), 0) AS BIGINT),
    min(average_intensity), avg(average_intensity), max(average_intensity)
FROM rows
"""
CODES = "SELECT code, count(*) FROM rows WHERE code IS NOT NULL GROUP BY code ORDER BY count(*) DESC, code"
COUNTS = """
SELECT least(CAST(floor(average_intensity / ?) AS INTEGER), ?), count(*)
FROM rows WHERE average_intensity IS NOT NULL GROUP BY 1
"""


def sums_of(parquet: Path) -> dict[str, Any]:
    """Return the sums as JSON."""
    with closing(duckdb.connect(config={"threads": 1})) as database:
        database.read_parquet(str(parquet)).create_view("rows")
        [(total, measured, size, least, mean, most)] = database.execute(VALUES).fetchall()
        codes = dict(database.execute(CODES).fetchall())
        bins = dict(database.execute(COUNTS, [BIN_WIDTH, BINS - 1]).fetchall())
    return {
        "total": total,
        "measured": measured,
        "problems": codes,
        "image_size_bytes": size,
        "averages": {
            "minimum": least,
            "mean": mean,
            "maximum": most,
            "bin_width": BIN_WIDTH,
            "bins": [bins.get(number, 0) for number in range(BINS)],
        },
    }
