"""From files or objects to rows in their order: each is measured in a slot, a process that can be ended.

A crash, or too much time, costs one row.
"""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import image_intensity
from image_intensity.slots import AHEAD, PROCESSOR_SHARE, Slot, SlotError, StartError, TimeLimitError
from intensity import names
from intensity.rows import PROCESSOR_FAILED, PROCESSOR_TIMEOUT, problem_row
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
# The kernel ends a process that takes too long. One that was stopped is ended by us, so many seconds later.
STOPPED_SECONDS = 10.0


class WorkError(Exception):
    """No measuring process can be started, each ends before it is ready, or one says why no file can be read."""


@dataclass(eq=False, slots=True)
class Item:
    """A file at its place in the order, and its row as soon as there is one."""

    found: Found
    row: Row | None = None


class Call(NamedTuple):
    """What a slot is asked for: the row of an item, or, without one, a sign that it is ready."""

    item: Item | None
    result: Future[Any]


@dataclass(eq=False, slots=True)
class Lane:
    """A slot, its calls without a result, of which it works on the first, and what follows. begun: with the first."""

    slot: Slot
    calls: deque[Call]
    next: deque[Item] = field(default_factory=deque)
    begun: float = 0

    def submit(self) -> None:
        """Have the slot measure the next ones, and read those ahead that follow."""
        while self.next and len(self.calls) < AHEAD:
            if not self.calls:
                self.begun = time.monotonic()
            item = self.next.popleft()
            self.calls.append(Call(item, self.slot.submit(row, item.found, [each.found for each in self.next])))


class Workers:
    """The measuring processes: one row for each file, in order, also if a process crashes."""

    def __init__(self, number: int, source: Source, work: Work, seconds: float) -> None:
        """Start `number` processes. seconds: the most time for one file."""
        self._work, self._prepare, self._ahead = work, partial(prepare, source, work), source.ahead
        # The processes have one limit of time, the processor's. It is a little lower than that of the clock.
        self._seconds, self._clock_seconds = seconds, seconds / PROCESSOR_SHARE
        self._order: deque[Item] = deque()
        # Of a process that was ended before it began with them.
        self._again: deque[Item] = deque()
        self._lanes = [self._lane() for _ in range(number)]

    def batches(self, found: Iterable[Found]) -> Iterator[list[Row]]:
        """Yield the rows in order, as they come; an empty list if none came within `TICK`. Raises WorkError."""
        left = iter(found)
        while True:
            # One after the other: a process that has much already must not get the last files.
            for most in range(1, AHEAD + self._ahead + 1):
                for lane in self._lanes:
                    while len(lane.calls) + len(lane.next) < most and (item := self._next(left)):
                        lane.next.append(item)
            for lane in self._lanes:
                lane.submit()
            if not self._order:
                return
            if not self._order[0].row:
                self._collect()
            yield self._ready()

    def finished(self) -> list[Row]:
        """Return the rows that wait for earlier ones. A run that was stopped writes them at its end."""
        return [item.row for item in self._order if item.row]

    def stop(self) -> None:
        """End all processes at once."""
        for lane in self._lanes:
            lane.slot.kill()

    def _lane(self) -> Lane:
        slot = Slot(self._clock_seconds, self._prepare)
        return Lane(slot, deque([Call(None, slot.submit(os.getpid))]))

    def _next(self, left: Iterator[Found]) -> Item | None:
        """Return the next one to measure, if there is one and not too many wait already."""
        if self._again:
            return self._again.popleft()
        while len(self._order) < MOST_WAITING and (found := next(left, None)):
            item = Item(found)
            self._order.append(item)
            if not found.problem:
                return item
            item.row = self._problem(item, *found.problem)
        return None

    def _collect(self) -> None:
        """Wait for rows, at most `TICK` seconds. End processes that have been stopped. Raises WorkError."""
        wait([lane.calls[0].result for lane in self._lanes if lane.calls], TICK, FIRST_COMPLETED)
        latest = time.monotonic() - self._clock_seconds - STOPPED_SECONDS
        for number, lane in enumerate(self._lanes):
            while lane.calls and lane.calls[0].result.done():
                self._hear(*lane.calls.popleft())
                lane.begun = time.monotonic()
            if lane.calls and (item := lane.calls[0].item) and lane.begun < latest:
                lane.slot.kill()
                item.row = self._too_long(item)
                lane.calls.popleft()
                self._again.extend([*(call.item for call in lane.calls if call.item), *lane.next])
                self._lanes[number] = self._lane()

    def _hear(self, item: Item | None, result: Future[Any]) -> None:
        """Keep a row. Raises WorkError."""
        try:
            found = result.result()
        except (StartError, SourceError) as error:
            raise WorkError(f"a measuring process {error}" if isinstance(error, StartError) else str(error)) from error
        except TimeLimitError:
            found = item and self._too_long(item)
        except SlotError as error:
            detail = f"The process that measured this {self._work.noun} {error}."
            found = item and self._problem(item, PROCESSOR_FAILED, detail)
        if item:
            item.row = found

    def _ready(self) -> list[Row]:
        """Take the rows up to the first file that has none."""
        rows = []
        while self._order and (row := self._order[0].row):
            rows.append(row)
            self._order.popleft()
        return rows

    def _too_long(self, item: Item) -> Row:
        detail = f"This {self._work.noun} took more than {self._seconds:g} seconds (--timeout)."
        return self._problem(item, PROCESSOR_TIMEOUT, detail)

    def _problem(self, item: Item, code: str, detail: str) -> Row:
        return problem_row(names.written(item.found.path), code, detail, self._work.method)


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
