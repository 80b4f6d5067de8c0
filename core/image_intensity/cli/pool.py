"""The measuring processes: one row for each file, in order, whatever happens to the process that measures it.

Pebble runs the processes and ends those that take too long. It gives up as a whole when a process dies between two
files, so this module then starts a new pool and measures again what was under way.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from pebble import ProcessExpired, ProcessPool

from image_intensity.cli import names, worker
from image_intensity.cli.rows import PROCESSOR_FAILED, PROCESSOR_TIMEOUT, Row, problem_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from image_intensity.cli.plan import PlannedFile
    from image_intensity.cli.worker import Work

# Files that are handed out for each process: one under way, and some for it to go on with at once.
AHEAD = 3
# Rows are written in order, so they wait while an earlier file takes long. No more than this many files do.
MOST_WAITING = 2000
# How often the caller is given a turn while nothing is done, in seconds.
TICK = 0.2
# A file is given to a new pool this often; a pool may fail this often in a row without any row in between.
MOST_TRIES = 3
MOST_FAILURES = 5
# When nothing has been done for the time limit and this many seconds, a file has been lost. Pebble waits 60 seconds for
# its lock, which a process that was killed may hold.
STALL_SECONDS = 75.0


class PoolError(Exception):
    """No measuring process can be started, or each ends before it has measured a file."""


@dataclass(eq=False, slots=True)
class Slot:
    """A file that has its place in the order, and its row once there is one."""

    path: bytes
    row: Row | None
    tries: int = 0


class Pool:
    """`jobs` processes that measure files."""

    def __init__(self, jobs: int, work: Work) -> None:
        """Start the processes."""
        self._jobs, self._work = jobs, work
        self._waiting: deque[Slot] = deque()
        self._running: dict[int, Slot] = {}
        self._failures = 0
        self._start()

    def batches(self, files: Iterable[PlannedFile]) -> Iterator[list[Row]]:
        """Yield the rows of `files`, in their order and as they come; an empty list where `TICK` has passed without.

        Raises PoolError.
        """
        left = iter(files)
        while True:
            self._fill(left)
            if not self._waiting:
                return
            if self._waiting[0].row is None:
                self._collect()
            yield self._ready()

    def finished(self) -> list[Row]:
        """Return the rows that are there but wait for earlier ones. For the end of a run that was stopped."""
        return [slot.row for slot in self._waiting if slot.row]

    def stop(self) -> None:
        """End all processes at once."""
        self._pool.stop()
        self._pool.join()

    def _start(self) -> None:
        """Start a pool."""
        self._done: SimpleQueue[tuple[Slot, Future[Row]]] = SimpleQueue()
        self._last = time.monotonic()
        # Spawned, not forked: this process has threads.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(max_workers=self._jobs, initializer=worker.begin, context=context)
        with without_interrupts():
            # Asking for its state starts it.
            _ = self._pool.active

    def _fill(self, left: Iterator[PlannedFile]) -> None:
        """Hand out files until there are enough."""
        while len(self._running) < self._jobs * AHEAD and len(self._waiting) < MOST_WAITING:
            file = next(left, None)
            if file is None:
                return
            slot = Slot(file.path, None)
            self._waiting.append(slot)
            if file.problem:
                slot.row = self._problem(slot, *file.problem)
            else:
                self._hand_out(slot)

    def _hand_out(self, slot: Slot) -> None:
        """Give a file to the pool."""
        slot.tries += 1
        self._running[id(slot)] = slot
        try:
            future = self._pool.schedule(worker.row, (slot.path, self._work), timeout=self._work.timeout)
        except RuntimeError:
            # The pool has failed; `_collect` starts a new one.
            return
        future.add_done_callback(partial(self._note, self._done, slot))

    @staticmethod
    def _note(done: SimpleQueue[tuple[Slot, Future[Row]]], slot: Slot, future: Future[Row]) -> None:
        """Pass on a file that is done. A thread of the pool calls this."""
        done.put((slot, future))

    def _collect(self) -> None:
        """Wait until a file is done, for `TICK` at the most, and keep the rows of all that are."""
        wait = TICK
        while True:
            try:
                slot, future = self._done.get(timeout=wait)
            except Empty:
                break
            self._keep(slot, future)
            wait = 0
        stalled = time.monotonic() - self._last > self._work.timeout + STALL_SECONDS
        if self._running and (stalled or not self._pool.active):
            self._renew()

    def _keep(self, slot: Slot, future: Future[Row]) -> None:
        """Keep the row of a file that is done, or the reason why its process has none."""
        try:
            row = future.result()
        except TimeoutError:
            row = self._timeout(slot)
        except ProcessExpired as error:
            row = self._timeout(slot) if error.exitcode == -signal.SIGALRM else self._failure(slot, error)
        except (BrokenProcessPool, CancelledError):
            # The pool has failed and not the file.
            return
        except Exception as error:  # noqa: BLE001 - for example a row that cannot be sent: it must cost one row
            row = self._problem(slot, PROCESSOR_FAILED, f"Measuring this file failed: {type(error).__name__}: {error}")
        slot.row = row
        del self._running[id(slot)]
        self._last, self._failures = time.monotonic(), 0

    def _ready(self) -> list[Row]:
        """Take the rows up to the first file that has none."""
        rows = []
        while self._waiting and (row := self._waiting[0].row):
            rows.append(row)
            self._waiting.popleft()
        return rows

    def _renew(self) -> None:
        """Start a new pool and give it what was under way. Raises PoolError where that has been in vain."""
        self._failures += 1
        if self._failures > MOST_FAILURES:
            raise PoolError("the measuring processes end as soon as they have started")
        self.stop()
        self._start()
        under_way, self._running = list(self._running.values()), {}
        for slot in under_way:
            if slot.tries < MOST_TRIES:
                self._hand_out(slot)
            else:
                slot.row = self._problem(slot, PROCESSOR_FAILED, "The process ended, three times, before it was done.")

    def _timeout(self, slot: Slot) -> Row:
        """Return the row of a file that took too long."""
        detail = f"This file took more than {self._work.timeout:g} seconds (--timeout)."
        return self._problem(slot, PROCESSOR_TIMEOUT, detail)

    def _failure(self, slot: Slot, error: ProcessExpired) -> Row:
        """Return the row of a file whose process has ended."""
        return self._problem(slot, PROCESSOR_FAILED, f"The process that measured this file {ending(error.exitcode)}.")

    def _problem(self, slot: Slot, code: str, detail: str) -> Row:
        """Return a row without a number."""
        return problem_row(names.written(slot.path), code, detail, self._work.method)


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
def without_interrupts() -> Iterator[None]:
    """Keep Ctrl+C from what is started meanwhile: a terminal sends it to all processes, and only the first decides.

    The threads that the pool starts here inherit this, and so do the processes that those threads start later.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def limit_threads() -> None:
    """Keep NumPy and the decoders in the processes from starting a thread for each core: one job is one core."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
