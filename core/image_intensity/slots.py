"""Calls in processes that can be ended: a crash, or too much time, costs one call and not the program.

    with Slot(seconds=25) as slot:
        measurement = slot.submit(measure, data).result()

A decoder cannot be interrupted from inside of its process, and a file of a stranger may crash it. Whoever measures such
files has a slot for each of those that are to be measured at a time.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnProcess

P = ParamSpec("P")
T = TypeVar("T")

# A process has a call to work on, and one more that it can begin at once.
AHEAD = 2
# So many processes in a row may end before they are ready. Perhaps there is too little memory.
MOST_FAILURES = 3
# They end a program, and a terminal sends them to all of its processes. The parent decides when those end.
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
# The time of the processor ends a call a little sooner than the clock. The clock ends what was kept from working.
PROCESSOR_SHARE = 0.9
CLOCK_ENDED, PROCESSOR_ENDED = (-getattr(signal, name, 0) for name in ("SIGALRM", "SIGPROF"))
# There is a process for each core. NumPy and the decoders would start a thread for each core, too.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS")
# When memory runs out, Linux ends the process with the highest score (proc(5)): this one, and not its parent.
OOM_SCORE = "500"


class SlotError(Exception):
    """A call has no result, because its process has ended. The message says how: "was ended by SIGSEGV"."""


class TimeLimitError(SlotError):
    """A call took too long. used_up: it was working; else the machine was too busy, or the call waited."""

    def __init__(self, seconds: float, *, used_up: bool) -> None:
        super().__init__(f"took more than {seconds:g} seconds")
        self.used_up = used_up


class StartError(SlotError):
    """Processes do not start, or end before they are ready. The message says why."""


class Call(NamedTuple):
    function: Callable[[], Any]
    result: Future[Any]


class Slot(Executor):
    """One process, which runs one call after the other. If it ends, another one takes its place and the other calls.

    A call raises what its function raises, or SlotError. Functions, arguments and results are pickled.
    """

    def __init__(self, seconds: float | None = None, prepare: Callable[[], object] = os.getpid) -> None:
        """Start a process.

        seconds: the most time for a call; None: any. Windows has no such limit. prepare: loads what the calls need;
        each process calls it first.
        """
        self._seconds, self._prepare = seconds, prepare
        self._context = RememberingContext()
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        # What was passed on to the process. It works on the first.
        self._flight: deque[Call] = deque()
        self._killed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have the process call `fn`. The future can be cancelled until the call is among the next two."""
        call = Call(partial(fn, *args, **kwargs), Future())
        self._calls.put(call)
        return call.result

    @property
    def idle(self) -> bool:
        """Whether it has no call to work on."""
        return not self._flight and self._calls.empty()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as Executor
        """End the process when all calls are done; with `cancel_futures`, when those are done that it has."""
        if cancel_futures:
            for call in self._waiting():
                call.result.cancel()
        self._calls.put(None)
        if wait:
            self._thread.join()

    def kill(self) -> None:
        """End the process at once. Calls without a result get SlotError."""
        self._killed = True
        # A process that is about to start has no id yet. Its slot sees that it must end.
        if self._context.process and self._context.process.pid:
            self._context.process.kill()
        self.shutdown()

    def _serve(self) -> None:
        """Run one process after the other, on a thread of its own."""
        block_signals()
        failures = 0
        while not self._killed:
            try:
                with ProcessPoolExecutor(1, self._context, begin) as executor:
                    executor.submit(run, self._prepare, None).result()
                    failures = 0
                    self._work(executor)
                    if not self._killed:
                        return
            except BrokenProcessPool:
                failure = ending(self._context.exit_code)
            except Exception as error:  # noqa: BLE001 - a broken installation has many faces
                failure = f"failed: {type(error).__name__}: {error}"
            failures += 1
            if failures > MOST_FAILURES:
                self._fail(StartError(f"does not start: the last one {failure}"))
                if not self._fill():
                    return
        self._fail(SlotError(ending(self._context.exit_code)))

    def _work(self, executor: ProcessPoolExecutor) -> None:
        """Run calls until the slot is shut down. Raises BrokenProcessPool when the process has ended."""
        answers: deque[Future[bytes]] = deque()
        while not self._killed and self._fill():
            if not answers and self._context.ended:
                # It had nothing to do, so no call has failed. The executor may not have noticed yet.
                raise BrokenProcessPool
            for call in islice(self._flight, len(answers), None):
                answers.append(executor.submit(run, call.function, self._seconds))
            try:
                result = pickle.loads(answers.popleft().result())  # noqa: S301 - our own process has sent it
            except BrokenProcessPool:
                # Only then, the process has ended, and its exit code is there.
                executor.shutdown()
                self._flight.popleft().result.set_exception(self._error())
                raise
            except BaseException as error:  # noqa: BLE001 - whatever the function has raised
                self._flight.popleft().result.set_exception(error)
            else:
                self._flight.popleft().result.set_result(result)

    def _fill(self) -> bool:
        """Take calls, and wait for the first. Return whether there is one; after a shutdown, there will be none."""
        while len(self._flight) < AHEAD:
            try:
                call = self._calls.get(block=not self._flight)
            except Empty:
                break
            if call is None:
                self._calls.put(None)
                break
            if call.result.set_running_or_notify_cancel():
                self._flight.append(call)
        return bool(self._flight)

    def _waiting(self) -> Iterator[Call]:
        """Take all calls that are not in flight."""
        with suppress(Empty):
            while call := self._calls.get_nowait():
                yield call
            self._calls.put(None)

    def _error(self) -> SlotError:
        """Return why a call has no result whose process has ended."""
        code = self._context.exit_code
        if self._seconds and code in {CLOCK_ENDED, PROCESSOR_ENDED}:
            return TimeLimitError(self._seconds, used_up=code == PROCESSOR_ENDED)
        return SlotError(ending(code))

    def _fail(self, error: SlotError) -> None:
        for call in self._waiting():
            if call.result.set_running_or_notify_cancel():
                self._flight.append(call)
        while self._flight:
            self._flight.popleft().result.set_exception(error)


class RememberingContext(SpawnContext):
    """Has processes spawned, which inherit nothing, and remembers the last one: executors do not tell its end."""

    process: SpawnProcess | None = None

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: ANN401, N802
        self.process = super().Process(*args, **kwargs)
        return self.process

    @property
    def ended(self) -> bool:
        return bool(self.process and wait([self.process.sentinel], 0))

    @property
    def exit_code(self) -> int:
        """Of the last process, as multiprocessing has it."""
        return (self.process and self.process.exitcode) or 0


def block_signals() -> None:
    """Let the processes that this thread starts never get the signals that end a program."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        # multiprocessing starts a process of its own before the first of ours. Python 3.11 then unblocks two signals.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def begin() -> None:
    for name in THREADS:
        os.environ.setdefault(name, "1")
    if hasattr(signal, "setitimer"):
        # The parent may have ignored them.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    threading.Thread(target=end_with_parent, daemon=True).start()
    # Decoders in C and Rust write to standard error.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def end_with_parent() -> None:
    """Wait for the end of the parent, also by SIGKILL, and end this process at once."""
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os._exit(1)


def run(function: Callable[[], object], seconds: float | None) -> bytes:
    """Call `function`, for at most `seconds`, and return its result, pickled. Raises what it raises."""
    limit(seconds)
    try:
        return pickle.dumps(function())
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
        except Exception:  # noqa: BLE001 - an error of any class
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise
    finally:
        limit(None)


def limit(seconds: float | None) -> None:
    """Have the kernel end this process in so many seconds; None: not any more.

    Public for functions that wait for others during a call: that time is not theirs.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds or 0)
        signal.setitimer(signal.ITIMER_PROF, (seconds or 0) * PROCESSOR_SHARE)


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


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
