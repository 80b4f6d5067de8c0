"""The sums of a run: how many rows of which kind, the distribution of the averages, time and cost."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from intensity.runs.estimate import cost_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intensity.runs.layout import Head

# The averages are counted in bins of this width, the last one with 255 in it.
BINS, BIN_WIDTH = 16, 16


class Sums:
    def __init__(self) -> None:
        self.total = self.measured = self._bytes = 0
        self._codes, self._bins = Counter[str](), [0] * BINS
        self._least, self._most, self._averages = math.inf, -math.inf, 0.0
        self._seconds = 0.0

    def add_head(self, head: Head) -> None:
        """Add what a part says of the time that it took."""
        self._seconds += head.seconds

    def add_row(self, values: Mapping[str, Any]) -> None:
        self.total += 1
        self._bytes += values["image_size_bytes"] or 0
        average = values["average_intensity"]
        if average is None:
            self._codes[values["code"]] += 1
            return
        self.measured += 1
        self._averages += average
        self._bins[min(int(average / BIN_WIDTH), BINS - 1)] += 1
        self._least, self._most = min(self._least, average), max(self._most, average)

    def values(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sums as JSON. description: run.json, which has what was left out, and the start.

        function_seconds: of all invocations that wrote rows, without crashes, Plan and Reduce. usd: an estimate.
        """
        some = self.measured > 0
        return {
            "total": self.total,
            "measured": self.measured,
            "problems": dict(self._codes.most_common()),
            "reused": description.get("reused", 0),
            "not_taken": description.get("skipped", {}),
            "image_size_bytes": self._bytes,
            "averages": {
                "minimum": self._least if some else None,
                "mean": self._averages / self.measured if some else None,
                "maximum": self._most if some else None,
                "bin_width": BIN_WIDTH,
                "bins": self._bins,
            },
            "started": description.get("started"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "function_seconds": round(self._seconds, 3),
            "usd": round(cost_of(self._seconds, self.total), 4),
        }
