"""Calls in processes that can be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_intensity import CorruptImage, Options, measure
from image_intensity.slots import AHEAD, ENDING, Slot, SlotError, StartError, TimeLimitError
from tests.core.samples import encoded, pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT_SECONDS = 30
IMAGE = encoded(pixels("RGB"), "PNG")


@pytest.fixture
def slot() -> Iterator[Slot]:
    with Slot() as slot:
        yield slot


class TwoArgumentsError(Exception):
    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{detail} ({code})")


def fail() -> None:
    raise TwoArgumentsError(7, "it does not survive pickling")


def end(number: int) -> None:
    os.kill(os.getpid(), number)


def spin() -> None:
    while True:
        pass


def limited_by_the_processor() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0.01)
    spin()


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    until = time.monotonic() + WAIT_SECONDS
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_an_image_gets_the_same_measurement_as_without_a_slot(slot: Slot) -> None:
    data = IMAGE
    assert slot.submit(measure, data, Options(luma="bt709")).result() == measure(data, Options(luma="bt709"))


def test_calls_run_in_another_process_one_after_the_other(slot: Slot) -> None:
    processes = {slot.submit(os.getpid).result() for _ in range(5)}
    assert len(processes) == 1
    assert os.getpid() not in processes


def test_a_call_raises_what_its_function_raises(slot: Slot) -> None:
    with pytest.raises(CorruptImage, match="cut"):
        slot.submit(measure, IMAGE[:-20]).result()


def test_an_error_that_does_not_survive_pickling_arrives_as_a_sentence_and_costs_nothing_else(slot: Slot) -> None:
    before = slot.submit(os.getpid).result()
    with pytest.raises(RuntimeError, match=r"^TwoArgumentsError: it does not survive pickling \(7\)$"):
        slot.submit(fail).result()
    assert slot.submit(os.getpid).result() == before


def test_a_result_that_cannot_be_pickled_costs_its_own_call(slot: Slot) -> None:
    with pytest.raises(TypeError, match="pickle"):
        slot.submit(threading.Lock).result()
    assert slot.submit(int, "7").result() == 7


@pytest.mark.parametrize(
    ("function", "argument", "sentence"),
    [
        (end, signal.SIGSEGV, "was ended by SIGSEGV"),
        (end, signal.SIGKILL, "was ended by SIGKILL; perhaps there was not enough memory"),
        (os._exit, 3, "ended with exit code 3"),
        (end, 40, "was ended by signal 40"),
    ],
)
def test_a_crash_costs_one_call_and_says_how_the_process_ended(
    slot: Slot, function: object, argument: int, sentence: str
) -> None:
    assert callable(function)
    before = [slot.submit(int, number) for number in range(3)]
    crash = slot.submit(function, argument)
    behind = [slot.submit(int, number) for number in range(5)]
    assert str(crash.exception()) == sentence
    assert isinstance(crash.exception(), SlotError)
    assert [call.result() for call in [*before, *behind]] == [0, 1, 2, 0, 1, 2, 3, 4]


def test_a_process_that_is_ended_while_it_has_nothing_to_do_costs_nothing(slot: Slot) -> None:
    first = slot.submit(os.getpid).result()
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    # A call of just this moment still goes to it, and fails.
    time.sleep(0.5)
    assert slot.submit(os.getpid).result() != first


@pytest.mark.parametrize("function", [spin, signal.pause])
def test_a_call_that_takes_too_long_is_ended_and_costs_nothing_else(function: object) -> None:
    assert callable(function)
    with Slot(seconds=0.5) as slot:
        late, other = slot.submit(function), slot.submit(int, "7")
        with pytest.raises(TimeLimitError, match=r"^took more than 0\.5 seconds$"):
            late.result()
        assert other.result() == 7


def test_a_time_limit_tells_work_from_waiting() -> None:
    with Slot(seconds=0.5) as slot:
        waiting = slot.submit(signal.pause).exception()
    with Slot(seconds=WAIT_SECONDS) as slot:
        working = slot.submit(limited_by_the_processor).exception()
    assert isinstance(waiting, TimeLimitError)
    assert isinstance(working, TimeLimitError)
    assert (waiting.used_up, working.used_up) == (False, True)


def test_the_time_limit_counts_for_each_call_anew() -> None:
    with Slot(seconds=1) as slot:
        for call in [slot.submit(time.sleep, 0.4) for _ in range(4)]:
            call.result()


def test_each_process_calls_prepare_before_anything_else() -> None:
    with Slot(prepare=set_a_variable) as slot:
        assert slot.submit(variable, "PREPARED").result() == "yes"
        slot.submit(end, signal.SIGKILL).exception()
        assert slot.submit(variable, "PREPARED").result() == "yes"


def set_a_variable() -> None:
    os.environ["PREPARED"] = "yes"


def variable(name: str) -> str | None:
    return os.environ.get(name)


@pytest.mark.parametrize(
    ("prepare", "how"),
    [
        (fail, r"failed: .*does not survive pickling \(7\)$"),
        (partial(end, signal.SIGSEGV), r"was ended by SIGSEGV$"),
    ],
)
def test_a_slot_whose_processes_do_not_start_says_why(
    monkeypatch: pytest.MonkeyPatch, prepare: Callable[[], None], how: str
) -> None:
    monkeypatch.setattr("image_intensity.slots.MOST_FAILURES", 1)
    with Slot(prepare=prepare) as slot:
        for _ in range(2):
            with pytest.raises(StartError, match=rf"^does not start: the last one {how}"):
                slot.submit(int).result()


def test_a_slot_that_is_left_finishes_its_calls() -> None:
    with Slot() as slot:
        calls = [slot.submit(time.sleep, 0.1) for _ in range(5)]
    assert all(call.done() for call in calls)


def test_calls_that_wait_can_be_cancelled(slot: Slot, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    begun = [slot.submit(wait_for, gate) for _ in range(AHEAD)]
    while not all(call.running() for call in begun):
        time.sleep(0.01)
    late = slot.submit(int, "7")
    assert late.cancel()
    assert not begun[0].cancel()
    gate.touch()
    assert slot.submit(int, "8").result() == 8


def test_a_slot_that_is_shut_down_with_cancel_finishes_what_it_has_only(tmp_path: Path) -> None:
    gate, slot = tmp_path / "gate", Slot()
    calls = [slot.submit(wait_for, gate) for _ in range(AHEAD + 3)]
    while not calls[AHEAD - 1].running():
        time.sleep(0.01)
    slot.shutdown(wait=False, cancel_futures=True)
    gate.touch()
    slot.shutdown()
    assert [call.cancelled() for call in calls] == [False] * AHEAD + [True] * 3
    with pytest.raises(CancelledError):
        calls[-1].result()


def test_a_slot_that_is_killed_ends_at_once_and_so_do_its_calls() -> None:
    slot = Slot()
    process = slot.submit(os.getpid).result()
    calls = [slot.submit(signal.pause) for _ in range(4)]
    slot.kill()
    assert [type(call.exception()) for call in calls] == [SlotError] * 4
    assert gone(process)


PROGRAM = """
import os, signal, sys, time
from image_intensity.slots import Slot
if __name__ == "__main__":
    slot = Slot()
    print(slot.submit(os.getpid).result(), flush=True)
    asked = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: asked.append(number))
    call = slot.submit(time.sleep, float(sys.argv[1]))
    print("begun", flush=True)
    call.result()
    slot.shutdown()
    print(len(asked), flush=True)
"""


@contextmanager
def program(folder: Path, seconds: float) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A program with a call under way, and the process of its slot."""
    file = folder / "program.py"
    file.write_text(PROGRAM)
    command = [sys.executable, str(file), str(seconds)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, start_new_session=True, **pipes) as running:  # type: ignore[call-overload]
        assert running.stdout
        process = int(running.stdout.readline())
        assert running.stdout.readline() == "begun\n"
        try:
            yield running, process
        finally:
            running.kill()


def test_signals_that_end_a_program_reach_the_parent_only(tmp_path: Path) -> None:
    with program(tmp_path, 1) as (running, process):
        for number in ENDING:
            os.killpg(running.pid, number)
            time.sleep(0.1)
        assert running.communicate(timeout=WAIT_SECONDS) == ("3\n", "")
        assert gone(process)


def test_a_process_ends_with_a_killed_parent(tmp_path: Path) -> None:
    with program(tmp_path, 100) as (running, process):
        running.kill()
        assert gone(process)
