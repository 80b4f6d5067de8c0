"""How far a run is, on standard error: a bar for people, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Literal, TypeVar

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from intensity.summary import Counts

Kind = Literal["bar", "json", "none"]
Each = TypeVar("Each")
JSON_SECONDS = 1.0
SEARCH = "Listing: {{n:,}} {noun}s, {{rate_noinv_fmt}}"
BAR = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left{postfix}"
# Its thread would only draw the same bar again.
tqdm.monitor_interval = 0


class Progress:
    """Shows a bar with rate and time left, or a JSON object each second and one at the end, or nothing."""

    def __init__(self, kind: Kind, counts: Counts) -> None:
        """Begin with the files that are done before the start; they do not count for the rate."""
        self._json = kind == "json"
        self._begun = self._shown = time.monotonic()
        self._bar = tqdm(
            total=counts.total,
            initial=counts.done,
            bar_format=BAR,
            unit=f" {counts.noun}s",
            dynamic_ncols=True,
            file=sys.stderr,
            disable=kind != "bar" or counts.done == counts.total,
        )

    def show(self, counts: Counts, *, last: bool = False) -> None:
        """Show `counts`, perhaps later. `last`: show them now; nothing follows."""
        now = time.monotonic()
        if self._json and (last or now - self._shown >= JSON_SECONDS):
            self._shown, seconds = now, round(now - self._begun, 1)
            line = {"done": counts.done, "total": counts.total, "problems": counts.problems, "seconds": seconds}
            sys.stderr.write(json.dumps(line) + "\n")
        if counts.problems:
            self._bar.set_postfix_str(f"{counts.problems:,} without a number", refresh=False)
        self._bar.update(counts.done - self._bar.n)
        if last:
            self._bar.refresh()
            self._bar.close()


def searching(kind: Kind, noun: str, found: Iterable[Each]) -> Iterator[Each]:
    """Yield what is found, and show meanwhile how much that is."""
    shown = time.monotonic()
    bar = tqdm(found, bar_format=SEARCH.format(noun=noun), leave=False, file=sys.stderr, disable=kind != "bar")
    for number, each in enumerate(bar, 1):
        if kind == "json" and time.monotonic() - shown >= JSON_SECONDS:
            shown = time.monotonic()
            sys.stderr.write(json.dumps({"listed": number}) + "\n")
        yield each
