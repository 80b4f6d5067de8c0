"""The measuring processes: one row for each file, in order, also if a process crashes.

Each process has a pipe of its own and shares no lock with the others. If one is killed, even in the middle of a
message, only the file that it was measuring gets no number. The pool always knows which file that is.
"""

from __future__ import annotations

import multiprocessing
import os
import selectors
import signal
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, NamedTuple

from intensity import names
from intensity.rows import PROCESSOR_FAILED, PROCESSOR_TIMEOUT, Row, problem_row
from intensity.stop import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from intensity.sources.paths import Found
    from intensity.worker import Work

# Rows are written in order, so they wait for an earlier file that takes long. At most this many files wait.
MOST_WAITING = 2000
# While no row comes, the caller gets its turn and time limits are checked this often. In seconds.
TICK = 0.2
# This many processes in a row may end before they are ready. Perhaps there is too little memory.
MOST_FAILURES = 5


class PoolError(Exception):
    """No measuring process can be started, each ends before it is ready, or one says why no file can be read."""


class Serving(NamedTuple):
    """What a measuring process does.

    serve: sends None when it is ready, then a row for each file that comes, in their order; or a sentence if no
    further file can be read. ahead: how many files a process has at a time; it works on the first.
    """

    serve: Callable[[Connection, Work], None]
    ahead: int


@dataclass(eq=False, slots=True)
class Slot:
    """A file at its place in the order, and its row as soon as there is one."""

    file: Found
    row: Row | None = None


@dataclass(eq=False, slots=True)
class Process:
    """A measuring process.

    slots: its files without an answer; it works on the first. begun: when it began with that one, on the monotonic
    clock; None if it is not ready or has no file.
    """

    process: SpawnProcess
    pipe: Connection
    slots: deque[Slot] = field(default_factory=deque)
    ready: bool = False
    begun: float | None = None

    def end(self) -> int:
        """End the process at once, if it has not ended, and return its exit code as multiprocessing has it."""
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return self.process.exitcode or 0


class Pool:
    """Processes that measure files."""

    def __init__(self, jobs: int, work: Work, serving: Serving) -> None:
        """Start `jobs` processes. Raises PoolError."""
        self._work, self._serving = work, serving
        self._waiting: deque[Slot] = deque()
        # Files whose process ended before it began with them.
        self._again: deque[Slot] = deque()
        self._processes: list[Process] = []
        self._selector = selectors.DefaultSelector()
        self._failures = 0
        for _ in range(jobs):
            self._start()

    def batches(self, files: Iterable[Found]) -> Iterator[list[Row]]:
        """Yield the rows of `files` in their order, as they come. Yield an empty list if none came within `TICK`.

        Raises PoolError.
        """
        left = iter(files)
        while True:
            # In turns: a process that has much already must not get the last files.
            for most in range(1, self._serving.ahead + 1):
                for process in self._processes:
                    self._fill(process, left, most)
            if not self._waiting:
                return
            if not self._waiting[0].row:
                self._collect()
            yield self._ready()

    def finished(self) -> list[Row]:
        """Return the rows that wait for earlier ones. A run that was stopped writes them at its end."""
        return [slot.row for slot in self._waiting if slot.row]

    def stop(self) -> None:
        """End all processes at once."""
        for process in self._processes:
            process.end()
        self._selector.close()

    def _start(self) -> None:
        """Start a process. Raises PoolError."""
        # Spawned, not forked: the process must not inherit the parent's open files and threads.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        started = context.Process(target=self._serving.serve, args=(theirs, self._work), daemon=True)
        try:
            with without_signals():
                started.start()
        except OSError as error:
            raise PoolError(f"cannot start a measuring process: {error.strerror}") from error
        # If this end stayed open here, the pipe would not tell when the process has ended.
        theirs.close()
        process = Process(started, ours)
        self._processes.append(process)
        self._selector.register(ours, selectors.EVENT_READ, process)

    def _fill(self, process: Process, left: Iterator[Found], most: int) -> None:
        """Give a process files until it has `most`."""
        while len(process.slots) < most and (slot := self._next(left)):
            process.slots.append(slot)
            if process.ready and process.begun is None:
                process.begun = time.monotonic()
            try:
                process.pipe.send(slot.file)
            except OSError:
                # It has ended. `_collect` notices that.
                return

    def _next(self, left: Iterator[Found]) -> Slot | None:
        """Return the next file to measure, if there is one and not too many wait already."""
        if self._again:
            return self._again.popleft()
        while len(self._waiting) < MOST_WAITING and (file := next(left, None)):
            slot = Slot(file)
            self._waiting.append(slot)
            if not file.problem:
                return slot
            slot.row = self._problem(slot, *file.problem)
        return None

    def _collect(self) -> None:
        """Wait for messages, at most `TICK` seconds, and keep the rows. End processes that take too long."""
        for key, _ in self._selector.select(TICK):
            self._hear(key.data)
        limit = time.monotonic() - self._work.timeout
        for process in list(self._processes):
            if process.begun is not None and process.begun < limit:
                detail = f"This {self._work.noun} took more than {self._work.timeout:g} seconds (--timeout)."
                self._replace(process, PROCESSOR_TIMEOUT, detail)

    def _hear(self, process: Process) -> None:
        """Receive a message: first that the process is ready, then rows. Or notice that it has ended.

        Raises PoolError.
        """
        try:
            row: Row | str | None = process.pipe.recv()
        except (EOFError, OSError):
            self._replace(process, PROCESSOR_FAILED, "")
            return
        if isinstance(row, str):
            raise PoolError(row)
        self._failures = 0
        process.ready = True
        if row:
            process.slots.popleft().row = row
        process.begun = time.monotonic() if process.slots else None

    def _replace(self, process: Process, code: str, detail: str) -> None:
        """Replace a process that has ended or must end. Raises PoolError."""
        self._selector.unregister(process.pipe)
        self._processes.remove(process)
        exit_code = process.end()
        if not process.ready:
            self._failures += 1
            if self._failures > MOST_FAILURES:
                raise PoolError(f"the measuring processes do not start; the last {ending(exit_code)}")
        elif process.slots:
            slot = process.slots.popleft()
            ended = f"The process that measured this {self._work.noun} {ending(exit_code)}."
            slot.row = self._problem(slot, code, detail or ended)
        self._again.extend(process.slots)
        self._start()

    def _ready(self) -> list[Row]:
        """Take the rows up to the first file that has none."""
        rows = []
        while self._waiting and (row := self._waiting[0].row):
            rows.append(row)
            self._waiting.popleft()
        return rows

    def _problem(self, slot: Slot, code: str, detail: str) -> Row:
        """Return a row without a number."""
        return problem_row(names.written(slot.file.path), code, detail, self._work.method)


def ending(code: int) -> str:
    """Return how a process has ended, from its exit code as multiprocessing has it."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    memory = "; perhaps there was not enough memory" if name == "SIGKILL" else ""
    return f"was ended by {name}{memory}"


@contextmanager
def without_signals() -> Iterator[None]:
    """Make processes that start meanwhile ignore the signals that end a run.

    A terminal sends Ctrl+C and its closing to all of them, and service managers SIGTERM. The parent decides: a process
    that ended by itself would cost its file a row without a number, which --resume keeps.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        # multiprocessing starts one of its own before the first of ours. In Python 3.11 it then unblocks two signals.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def limit_threads() -> None:
    """Stop NumPy and the decoders from starting a thread for each core. Each process is meant for one core."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
