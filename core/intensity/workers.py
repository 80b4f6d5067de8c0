"""From files or objects to rows in their order: each is measured in a slot, a process that can be ended.

A crash, or too much time, costs one row.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, takewhile
from typing import TYPE_CHECKING

import image_intensity
from image_intensity.slots import AHEAD, PROCESSOR_SHARE, Slot, SlotError, StartError, TimeLimitError
from intensity.rows import PROCESSOR_FAILED, PROCESSOR_TIMEOUT
from intensity.sources.errors import SourceError
from intensity.work import Measuring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from intensity.rows import Row
    from intensity.sources.paths import Found
    from intensity.work import Source, Work

# Rows are written in order, so they wait for an earlier file that takes long. At most this many wait.
MOST_WAITING = 2000
# While no row comes, the caller goes on this often. In seconds.
TICK = 0.2


@dataclass(eq=False, slots=True)
class Item:
    """A file at its place in the order, and its row. asked: whether a slot has been asked for it."""

    found: Found
    row: Future[Row] = field(default_factory=Future)
    asked: bool = False


class Workers:
    """The measuring processes: one row for each file, in order, also if a process crashes."""

    def __init__(self, number: int, source: Source, work: Work, seconds: float) -> None:
        """Start `number` processes. seconds: the most time for one file."""
        self._work, self._seconds, self._most = work, seconds, AHEAD + source.ahead
        self._order: deque[Item] = deque()
        # The processes have one limit of time, the processor's. It is a little lower than that of the clock.
        slots = [Slot(seconds / PROCESSOR_SHARE, partial(prepare, source, work)) for _ in range(number)]
        # Each with what it is to measure.
        self._lanes: list[tuple[Slot, deque[Item]]] = [(slot, deque()) for slot in slots]

    def batches(self, found: Iterable[Found]) -> Iterator[list[Row]]:
        """Yield the rows in order, as they come; an empty list if none came within `TICK`.

        Raises SourceError if nothing can be read, or no measuring process can be started.
        """
        left = iter(found)
        while True:
            self._hand_out(left)
            if not self._order:
                return
            if not self._order[0].row.done():
                wait([items[0].row for _, items in self._lanes if items], TICK, FIRST_COMPLETED)
            ready = [self._row(item) for item in takewhile(lambda item: item.row.done(), self._order)]
            for _ in ready:
                self._order.popleft()
            yield ready

    def finished(self) -> list[Row]:
        """Return the rows that wait for earlier ones. A run that was stopped writes them at its end."""
        rows = []
        for item in self._order:
            with suppress(SourceError):
                rows += [self._row(item)] if item.row.done() else []
        return rows

    def stop(self) -> None:
        """End all processes at once."""
        for slot, _ in self._lanes:
            slot.kill()

    def _hand_out(self, left: Iterator[Found]) -> None:
        """Give each slot something to measure, and tell it what to read ahead."""
        for _, items in self._lanes:
            while items and items[0].row.done():
                items.popleft()
        # One after the other: a process that has much already must not get the last files.
        for most in range(1, self._most + 1):
            for _, items in self._lanes:
                while len(items) < most and (item := self._next(left)):
                    items.append(item)
        for slot, items in self._lanes:
            for number, item in enumerate(islice(items, AHEAD), 1):
                if not item.asked:
                    ahead = [each.found for each in islice(items, number, None)]
                    item.row, item.asked = slot.submit(row, item.found, ahead), True

    def _next(self, left: Iterator[Found]) -> Item | None:
        """Return the next one to measure, if there is one and not too many wait already."""
        if len(self._order) == MOST_WAITING or not (found := next(left, None)):
            return None
        self._order.append(Item(found))
        return self._order[-1]

    def _row(self, item: Item) -> Row:
        """Return the row of what is done. Raises SourceError."""
        noun = self._work.noun
        try:
            return item.row.result()
        except StartError as error:
            raise SourceError(f"a measuring process {error}") from error
        except TimeLimitError:
            code, detail = PROCESSOR_TIMEOUT, f"This {noun} took more than {self._seconds:g} seconds (--timeout)."
        except SlotError as error:
            code, detail = PROCESSOR_FAILED, f"The process that measured this {noun} {error}."
        return self._work.problem(item.found, code, detail)


# In a measuring process: made by `prepare`.
measuring: Measuring


def prepare(source: Source, work: Work) -> None:
    """Load what measuring needs, in a measuring process."""
    global measuring  # noqa: PLW0603 - the process has one
    _ = image_intensity.measure
    measuring = Measuring(source, work)


def row(found: Found, ahead: Sequence[Found]) -> Row:
    """Return the row of one, in a measuring process."""
    return measuring.row(found, ahead)
