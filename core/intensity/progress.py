"""How far a run is, on standard error: a bar for people, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from intensity.summary import Counts

Kind = Literal["bar", "json", "none"]
Each = TypeVar("Each")
JSON_SECONDS = 1.0
COLUMNS = 80
SEARCH = "Listing: {{n:,}} {noun}s, {{rate_noinv_fmt}}"
BAR = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left{postfix}"


class Progress(Protocol):
    """Shows how far a run is."""

    def show(self, counts: Counts, *, last: bool = False) -> None:
        """Show `counts`, perhaps later. `last`: show them now; nothing follows."""

    def aside(self) -> AbstractContextManager[None]:
        """Clear the line of the bar while this block writes lines."""


class NoProgress:
    def show(self, counts: Counts, *, last: bool = False) -> None:
        """Show nothing."""

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()


class JsonLines(NoProgress):
    """Shows one JSON object each second, and one at the end."""

    def __init__(self) -> None:
        self._begun = self._shown = time.monotonic()

    def show(self, counts: Counts, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self._shown < JSON_SECONDS:
            return
        self._shown = now
        seconds = round(now - self._begun, 1)
        line = {"done": counts.done, "total": counts.total, "problems": counts.problems, "seconds": seconds}
        sys.stderr.write(json.dumps(line) + "\n")


class Bar:
    """Shows a bar with rate and time left."""

    def __init__(self, counts: Counts) -> None:
        """Show the bar with the files that are done before the start; they do not count for the rate."""
        from tqdm import tqdm  # noqa: PLC0415 - only where there is a bar

        # Its thread would only draw the same bar again.
        tqdm.monitor_interval = 0
        # Some terminals do not report their width.
        told = sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns > 0
        self._bar = tqdm(
            total=counts.total,
            initial=counts.done,
            bar_format=BAR,
            unit=f" {counts.noun}s",
            dynamic_ncols=told,
            ncols=None if told else COLUMNS,
            file=sys.stderr,
        )

    def show(self, counts: Counts, *, last: bool = False) -> None:
        if counts.problems:
            self._bar.set_postfix_str(f"{counts.problems:,} without a number", refresh=False)
        self._bar.update(counts.done - self._bar.n)
        if last:
            self._bar.refresh()
            self._bar.close()

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._bar.clear()
        yield
        self._bar.refresh()


def searching(kind: Kind, noun: str, found: Iterable[Each]) -> Iterator[Each]:
    """Yield what is found, and show meanwhile how much that is."""
    if kind == "bar":
        from tqdm import tqdm  # noqa: PLC0415 - only where there is a bar

        tqdm.monitor_interval = 0
        yield from tqdm(found, bar_format=SEARCH.format(noun=noun), leave=False, file=sys.stderr)
        return
    shown = time.monotonic()
    for number, each in enumerate(found, 1):
        if kind == "json" and time.monotonic() - shown >= JSON_SECONDS:
            shown = time.monotonic()
            sys.stderr.write(json.dumps({"listed": number}) + "\n")
        yield each


def progress(kind: Kind, counts: Counts) -> Progress:
    """Return what shows the progress of a run that begins with `counts`."""
    if kind == "bar" and counts.done < counts.total:
        return Bar(counts)
    return JsonLines() if kind == "json" else NoProgress()
