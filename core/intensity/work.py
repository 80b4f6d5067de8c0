"""From files or objects to rows in their order: some are read ahead, and each is measured in a slot.

A slot is a process that can be ended (`image_intensity.slots`): a crash, or too much time, costs one row.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import image_intensity
from image_intensity import MeasurementError
from image_intensity.slots import PROCESSOR_SHARE, Slot, SlotError, StartError, TimeLimitError
from intensity import names
from intensity.rows import FILE_TOO_LARGE, PROCESSOR_FAILED, PROCESSOR_TIMEOUT, measured_row, problem_row
from intensity.sources.errors import Content, ReadProblem, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from image_intensity import Limits
    from intensity.rows import Method, Row
    from intensity.sources.paths import Found

# A process has a file to measure, and one more that it can begin at once.
AT_ONCE = 2
# What is read ahead takes so many bytes at most.
MOST_AHEAD = 64_000_000
# In bytes, for what does not say its size. If it is larger, it is read when it is its turn.
ASSUMED = 8_000_000
# After so many in a row that a source did not give, a process does not ask for more.
MOST_FAILURES = 10
# Rows are written in order, so they wait for an earlier file that takes long. At most this many wait.
MOST_WAITING = 2000
# While no row comes, the caller gets its turn this often. In seconds.
TICK = 0.2
# The kernel ends a process that takes too long. One that was stopped is ended by us, so many seconds later.
STOPPED_SECONDS = 10.0
NOT_READY = float("inf")


class Source(Protocol):
    """What is read: files or objects. It is sent to the processes."""

    @property
    def ahead(self) -> int:
        """How many are read while another one is measured."""

    def reading(self, reads_on: Callable[[bytes], bool]) -> Callable[[Found, int], Content]:
        """Return what reads one, of at most so many bytes; it raises ReadProblem or SourceError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How to measure each. max_bytes: longer files are not read. noun: file, or object."""

    method: Method
    limits: Limits
    full: bool
    max_bytes: int
    noun: str = "file"

    def reads_on(self, head: bytes) -> bool:
        """Return whether content that begins so may be an image."""
        from image_intensity.formats import detect  # noqa: PLC0415 - it loads the decoders

        return detect(head) in self.limits.formats

    def row(self, name: str, content: Content) -> Row:
        known: dict[str, Any] = {"image_size_bytes": content.size}
        if len(content.data) == content.size:
            known["sha256"] = hashlib.sha256(content.data).hexdigest()
        try:
            measurement = image_intensity.measure(content.data, self.method.options, self.limits)
            return measured_row(name, measurement, known["sha256"], self.method, full=self.full)
        except MeasurementError as error:
            code, detail = error.code, error.detail
        except MemoryError:
            code, detail = PROCESSOR_FAILED, "There is not enough memory to measure this image."
        except Exception as error:  # noqa: BLE001 - a bug must cost one row and not the run
            code, detail = PROCESSOR_FAILED, f"Measuring this {self.noun} failed: {type(error).__name__}: {error}"
        return problem_row(name, code, detail, self.method, **known)


class Reading(NamedTuple):
    """What is read ahead. size: in bytes, as far as that is known."""

    content: Future[Content]
    size: int


class Measuring:
    """Reads and measures one after the other, and reads some ahead meanwhile."""

    def __init__(self, source: Source, work: Work) -> None:
        """Nothing is read yet. Raises SourceError if nothing can be read."""
        self._work, self._read = work, source.reading(work.reads_on)
        self._threads = ThreadPoolExecutor(source.ahead) if source.ahead else None
        self._reading: dict[bytes, Reading] = {}
        self._failures = 0

    def row(self, found: Found, ahead: Sequence[Found] = ()) -> Row:
        """Return the row of one; its problems are in it. `ahead`: the next ones. Raises SourceError."""
        name = names.written(found.path)
        self._read_ahead(ahead)
        try:
            content = self._content(found)
        except ReadProblem as problem:
            self._count(problem)
            return problem_row(name, problem.code, problem.detail, self._work.method)
        except MemoryError:
            detail = f"There is not enough memory to read this {self._work.noun}."
            return problem_row(name, PROCESSOR_FAILED, detail, self._work.method)
        self._failures = 0
        return self._work.row(name, content)

    def _read_ahead(self, ahead: Sequence[Found]) -> None:
        """Begin to read the next ones that there is memory for."""
        held = sum(reading.size for reading in self._reading.values())
        for found in ahead:
            if found.path in self._reading or not self._threads:
                continue
            size = ASSUMED if found.size is None else found.size
            held += size
            if held > MOST_AHEAD:
                return
            most = min(ASSUMED, self._work.max_bytes) if found.size is None else self._work.max_bytes
            self._reading[found.path] = Reading(self._threads.submit(self._read, found, most), size)

    def _content(self, found: Found) -> Content:
        """Return the content of one. Raises ReadProblem, SourceError and MemoryError."""
        if reading := self._reading.pop(found.path, None):
            try:
                return reading.content.result()
            except ReadProblem as problem:
                if found.size is not None or problem.code != FILE_TOO_LARGE:
                    raise
        return self._read(found, self._work.max_bytes)

    def _count(self, problem: ReadProblem) -> None:
        """Count what the source does not give. Raises SourceError if it gives nothing."""
        self._failures = self._failures + 1 if problem.code == PROCESSOR_FAILED else 0
        if self._failures >= MOST_FAILURES:
            raise SourceError(f"S3 did not give {MOST_FAILURES} objects in a row; the last: {problem.detail}")


class WorkError(Exception):
    """No measuring process can be started, each ends before it is ready, or one says why no file can be read."""


@dataclass(eq=False, slots=True)
class Item:
    """A file at its place in the order, and its row as soon as there is one."""

    found: Found
    row: Row | None = None


@dataclass(eq=False, slots=True)
class Lane:
    """A slot and its items without a row. It works on the first, and has `submitted` of them. begun: with the first."""

    slot: Slot
    items: deque[Item] = field(default_factory=deque)
    submitted: int = 0
    begun: float = NOT_READY


class Workers:
    """The measuring processes: one row for each file, in order, also if a process crashes."""

    def __init__(self, number: int, source: Source, work: Work, seconds: float) -> None:
        """Start `number` processes. seconds: the most time for one file."""
        self._source, self._work, self._seconds = source, work, seconds
        self._waiting: deque[Item] = deque()
        # Of a process that was ended before it began with them.
        self._again: deque[Item] = deque()
        self._done: SimpleQueue[tuple[Lane, Item, Future[Row]]] = SimpleQueue()
        self._lanes = [self._lane() for _ in range(number)]

    def batches(self, found: Iterable[Found]) -> Iterator[list[Row]]:
        """Yield the rows in order, as they come; an empty list if none came within `TICK`. Raises WorkError."""
        left = iter(found)
        while True:
            # In turns: a process that has much already must not get the last files.
            for most in range(1, AT_ONCE + self._source.ahead + 1):
                for lane in self._lanes:
                    self._fill(lane, left, most)
            for lane in self._lanes:
                self._submit(lane)
            if not self._waiting:
                return
            if not self._waiting[0].row:
                self._collect()
            yield self._ready()

    def finished(self) -> list[Row]:
        """Return the rows that wait for earlier ones. A run that was stopped writes them at its end."""
        return [item.row for item in self._waiting if item.row]

    def stop(self) -> None:
        """End all processes at once."""
        for lane in self._lanes:
            lane.slot.kill()

    def _lane(self) -> Lane:
        # Its own processes have one limit of time, the processor's. It is a little lower than that of the clock.
        lane = Lane(Slot(self._seconds / PROCESSOR_SHARE, partial(prepare, self._source, self._work)))

        def ready(_: Future[int]) -> None:
            lane.begun = time.monotonic()

        lane.slot.submit(os.getpid).add_done_callback(ready)
        return lane

    def _fill(self, lane: Lane, left: Iterator[Found], most: int) -> None:
        """Give a lane items until it has `most`."""
        while len(lane.items) < most and (item := self._next(left)):
            lane.items.append(item)

    def _next(self, left: Iterator[Found]) -> Item | None:
        """Return the next one to measure, if there is one and not too many wait already."""
        if self._again:
            return self._again.popleft()
        while len(self._waiting) < MOST_WAITING and (found := next(left, None)):
            item = Item(found)
            self._waiting.append(item)
            if not found.problem:
                return item
            item.row = self._problem(item, *found.problem)
        return None

    def _submit(self, lane: Lane) -> None:
        """Have the process of a lane measure the next ones, and read those ahead that follow."""
        while lane.submitted < min(AT_ONCE, len(lane.items)):
            item, *ahead = [*lane.items][lane.submitted :]
            if not lane.submitted and lane.begun < NOT_READY:
                lane.begun = time.monotonic()
            lane.submitted += 1
            future = lane.slot.submit(row, item.found, [each.found for each in ahead])
            future.add_done_callback(partial(self._keep, lane, item))

    def _keep(self, lane: Lane, item: Item, future: Future[Row]) -> None:
        """Pass a row on from the thread of a slot."""
        self._done.put((lane, item, future))

    def _collect(self) -> None:
        """Wait for rows, at most `TICK` seconds. End processes that have been stopped."""
        try:
            self._hear(*self._done.get(timeout=TICK))
            while True:
                self._hear(*self._done.get_nowait())
        except Empty:
            pass
        latest = time.monotonic() - self._seconds / PROCESSOR_SHARE - STOPPED_SECONDS
        for lane in [lane for lane in self._lanes if lane.items and lane.begun < latest]:
            lane.slot.kill()
            item = lane.items.popleft()
            item.row = self._too_long(item)
            self._again.extend(lane.items)
            lane.items.clear()
            self._lanes[self._lanes.index(lane)] = self._lane()

    def _hear(self, lane: Lane, item: Item, future: Future[Row]) -> None:
        """Keep a row. Raises WorkError."""
        if item not in lane.items:
            return
        try:
            item.row = future.result()
        except TimeLimitError:
            item.row = self._too_long(item)
        except StartError as error:
            raise WorkError(f"a measuring process {error}") from error
        except SlotError as error:
            detail = f"The process that measured this {self._work.noun} {error}."
            item.row = self._problem(item, PROCESSOR_FAILED, detail)
        except SourceError as error:
            raise WorkError(str(error)) from error
        lane.items.remove(item)
        lane.submitted -= 1
        lane.begun = time.monotonic()

    def _ready(self) -> list[Row]:
        """Take the rows up to the first file that has none."""
        rows = []
        while self._waiting and (row := self._waiting[0].row):
            rows.append(row)
            self._waiting.popleft()
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
