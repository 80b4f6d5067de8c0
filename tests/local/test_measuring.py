"""Measuring processes are killed, stopped and starved: each image gets its number, or an error that says why."""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from contract.problems import ProblemError
from gateway.log import make_logger
from gateway.settings import Settings
from local_server.measuring import process as processes
from local_server.measuring.client import BrokerProcessor
from local_server.measuring.pool import Bounds
from tests.cli.command import until as wait_until
from tests.local.measuring import black, invocation, measuring, picture, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.local.measuring import Measuring

pytestmark = pytest.mark.anyio

SMALL = picture()
# It is not small by its pixels: 1.2 million.
LARGE = black(1100)
# It needs 64 MB of memory.
HUGE = black(8000)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("size", [(64, 48), (1200, 1000)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
async def test_the_number_is_the_one_that_numpy_has(tmp_path: Path, size: tuple[int, int], kind: str) -> None:
    content = picture(size, kind)
    async with measuring(tmp_path) as running:
        answer = await running.processor.measure(invocation(content))
    assert answer.complete
    assert answer.measurement.average_intensity == np.asarray(Image.open(io.BytesIO(content)).convert("L")).mean()
    assert answer.measurement.image_size_bytes == len(content)


async def test_what_is_wrong_with_an_image_is_told(tmp_path: Path) -> None:
    large = picture((1200, 1000))
    async with measuring(tmp_path) as running:
        assert await running.code(b"GIF89a") == "unsupported_format"
        assert await running.code(SMALL[:-20]) == "corrupt_image"
        assert await running.code(large[:-20]) == "corrupt_image"
        with pytest.raises(ProblemError, match="too_many_pixels"):
            await running.processor.measure(invocation(large, max_pixels=1_199_999))
        assert running.log.getvalue() == ""


async def test_many_images_at_once_get_each_its_own_number(tmp_path: Path) -> None:
    images = [picture((30 + seed, 20), seed=seed) for seed in range(60)] + [
        picture((1100, 1000), seed=seed) for seed in range(6)
    ]
    async with measuring(tmp_path, processes=2) as running:
        answers = await asyncio.gather(*[running.processor.measure(invocation(image)) for image in images])
    for image, answer in zip(images, answers, strict=True):
        expected = np.asarray(Image.open(io.BytesIO(image)).convert("L")).mean()
        assert answer.measurement.average_intensity == expected


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_a_process_that_is_ended_costs_the_image_that_it_has_and_no_other(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with measuring(tmp_path, processes=2) as running:
        stopped = running.stop()
        under_way = [running.send(LARGE), running.send(LARGE)]
        await until(lambda: len(running.pool.idle) == 1)
        waiting = [running.send(LARGE) for _ in range(3)]
        await until(lambda: len(running.pool.waiting) == 3)
        for process in stopped:
            os.kill(process.started.pid, number)
            if number != signal.SIGKILL:
                os.kill(process.started.pid, signal.SIGCONT)
        assert await asyncio.gather(*under_way) == ["processor_failed"] * 2
        assert await asyncio.gather(*waiting) == ["measured"] * 3
        assert not set(stopped) & running.pool.processes
    lines = [json.loads(line) for line in running.log.getvalue().splitlines()]
    assert [line["request_id"] for line in lines] == ["the-id"] * 2
    assert all(f"was ended by {number.name}" in line["error"] for line in lines)


async def test_an_image_that_takes_too_long_is_ended_and_the_next_one_is_measured(tmp_path: Path) -> None:
    async with measuring(tmp_path, measuring=0.5) as running:
        [stopped] = running.stop()
        under_way = running.send(LARGE)
        assert await under_way == "processor_timeout"
        await until(lambda: stopped not in running.pool.processes)
        running.pool.bounds = Bounds()
        assert await running.code(LARGE) == "measured"
        assert running.log.getvalue() == ""


async def test_an_image_that_decodes_too_long_is_ended(tmp_path: Path) -> None:
    # A fast machine decodes it in 0.2 s.
    async with measuring(tmp_path, measuring=0.05) as running:
        assert await running.code(black(14_000)) == "processor_timeout"


async def test_an_image_that_waits_too_long_is_told_that_all_are_busy(tmp_path: Path) -> None:
    async with measuring(tmp_path, processes=2, waiting=0.2) as running:
        running.stop()
        images = [running.send(LARGE) for _ in range(5)]
        assert [await image for image in images[2:]] == ["processor_busy"] * 3
        assert not running.pool.waiting
        running.go_on()
        assert [await image for image in images[:2]] == ["measured"] * 2


@pytest.mark.parametrize("large", [3, 30])
async def test_small_images_do_not_wait_for_large_ones(tmp_path: Path, large: int) -> None:
    async with measuring(tmp_path, processes=2) as running:
        running.stop()
        images = [running.send(LARGE) for _ in range(large)]
        await until(lambda: len(running.pool.waiting) == large - 2)
        for _ in range(5):
            assert await running.code(SMALL) == "measured"
        assert not any(image.done() for image in images)
        running.go_on()
        assert set(await asyncio.gather(*images)) == {"measured"}


def is_waiting(running: Measuring, count: int) -> bool:
    """Whether so many images wait, and one is under way."""
    return len(running.pool.waiting) == count and len(running.pool.idle) == 1


async def test_large_images_are_measured_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    done: list[int] = []

    async def measure(number: int) -> None:
        await running.code(LARGE)
        done.append(number)

    async with measuring(tmp_path) as running:
        running.stop()
        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(measure(number)))
            await until(partial(is_waiting, running, number))
        running.go_on()
        await asyncio.gather(*tasks)
    assert done == [0, 1, 2, 3, 4]


async def test_an_image_whose_client_has_gone_gives_up_its_place(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        running.stop()
        images = [running.send(LARGE) for _ in range(3)]
        await until(lambda: len(running.pool.waiting) == 2)
        images[1].cancel()
        await asyncio.wait([images[1]])
        running.go_on()
        assert [await images[0], await images[2]] == ["measured"] * 2
        await running.ready()
        assert [process.measured for process in running.general] == [2]


async def test_an_image_under_way_whose_client_has_gone_leaves_its_process_fit_for_the_next(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        [process] = running.stop()
        image = running.send(LARGE)
        await until(lambda: process not in running.pool.idle)
        image.cancel()
        await asyncio.wait([image])
        running.go_on()
        assert await running.code(LARGE) == "measured"
        assert running.general == [process]
        assert running.log.getvalue() == ""


async def test_an_idle_process_that_ends_is_replaced_and_costs_no_image(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        for process in running.general:
            os.kill(process.started.pid, signal.SIGKILL)
        await until(lambda: len(running.pool.idle) == 1)
        assert await asyncio.gather(*[running.code(LARGE) for _ in range(4)]) == ["measured"] * 4
    assert running.log.getvalue().count("a measuring process has ended") == 1


class Starts:
    """Starts something else than a measuring process, and counts."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self.count = 0
        self.started: list[asyncio.subprocess.Process] = []

    async def __call__(
        self, *command: str, variables: Mapping[str, str], pass_fds: tuple[int, ...]
    ) -> asyncio.subprocess.Process:
        self.count += 1
        started = await processes.start(*self.command or command, variables=variables, pass_fds=pass_fds)
        self.started.append(started)
        return started


async def test_processes_that_do_not_start_are_an_error_and_no_busy_loop(tmp_path: Path) -> None:
    starts = Starts("false")
    async with measuring(tmp_path, ready=False, start=starts) as running:
        assert await running.code(SMALL) == "processor_failed"
        assert await running.code(LARGE) == "processor_failed"
        await asyncio.sleep(1)
        # Two processes: at once, after 0.25 s and after 0.5 s more; and those that the images waited for.
        assert 2 < starts.count < 12
    assert "a measuring process does not start" in running.log.getvalue()
    assert "ended with exit code 1" in running.log.getvalue()


async def test_a_machine_without_memory_for_processes_is_an_error(tmp_path: Path) -> None:
    async def start(*_: str, **__: Any) -> asyncio.subprocess.Process:  # noqa: ANN401 - as Popen has them
        raise OSError(12, "Cannot allocate memory")

    async with measuring(tmp_path, ready=False, start=start) as running:
        assert await running.code(SMALL) == "processor_failed"
    assert "Cannot allocate memory" in running.log.getvalue()


async def test_the_reason_why_an_installation_is_broken_is_in_the_log(tmp_path: Path) -> None:
    package = tmp_path / "processor"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('no such decoder')")

    async def start(
        *command: str, variables: Mapping[str, str], pass_fds: tuple[int, ...]
    ) -> asyncio.subprocess.Process:
        path = os.pathsep.join([str(tmp_path), variables.get("PYTHONPATH", "")])
        return await processes.start(*command, variables={**variables, "PYTHONPATH": path}, pass_fds=pass_fds)

    async with measuring(tmp_path, ready=False, start=start) as running:
        assert await running.code(SMALL) == "processor_failed"
    assert "ImportError: no such decoder" in running.log.getvalue()


async def test_a_process_that_does_not_get_ready_is_started_again(tmp_path: Path) -> None:
    starts = Starts("sleep", "60")
    async with measuring(tmp_path, ready=False, start=starts, starting=0.1) as running:
        # All that were started have been given up.
        await until(lambda: 3 < starts.count == running.log.getvalue().count("it is not ready after 0.1 s"))
        starts.command = ()
        running.pool.bounds = Bounds(processes=1)
        await running.ready()
        assert await running.code(LARGE) == "measured"


async def test_an_image_without_memory_is_an_error_and_its_process_measures_on(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        [process] = running.general
        size = address_space(process.started.pid)
        before = resource.prlimit(process.started.pid, resource.RLIMIT_AS)
        resource.prlimit(process.started.pid, resource.RLIMIT_AS, (size + 10_000_000, before[1]))
        assert await running.code(HUGE) == "processor_failed"
        resource.prlimit(process.started.pid, resource.RLIMIT_AS, before)
        assert await running.code(HUGE) == "measured"
        assert running.general == [process]
    assert "MemoryError" in running.log.getvalue()


def address_space(pid: int) -> int:
    """Bytes of address space that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


async def test_images_that_need_more_memory_than_there_is_run_one_after_the_other(tmp_path: Path) -> None:
    async with measuring(tmp_path, processes=2, decoded_bytes=1) as running:
        images = [running.send(HUGE) for _ in range(4)]
        most = 0
        while not all(image.done() for image in images):
            most = max(most, running.pool.budget.lent)
            await asyncio.sleep(0)
        assert set(await asyncio.gather(*images)) == {"measured"}
    # 64 million pixels of one byte, and a pointer to each row.
    assert most == 64_064_000


async def test_an_image_that_waits_too_long_for_memory_is_told_that_all_are_busy(tmp_path: Path) -> None:
    async with measuring(tmp_path, decoded_bytes=1, waiting=0.3) as running:
        # Somebody else has it all.
        running.pool.budget.lent = 1
        assert await running.code(HUGE) == "processor_busy"
        assert await running.code(SMALL) == "measured"
        image = running.send(HUGE)
        await until(lambda: running.pool.budget.waiting)
        image.cancel()
        await asyncio.wait([image])
        running.pool.budget.lent = 0
        await running.ready()
        assert await running.code(HUGE) == "measured"
        assert running.log.getvalue() == ""


async def test_renewed_processes_end_after_their_images(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        [stopped] = running.stop()
        before = set(running.pool.processes)
        image = running.send(LARGE)
        await until(lambda: stopped not in running.pool.idle)
        running.pool.renew()
        running.go_on()
        assert await image == "measured"
        await until(lambda: not before & running.pool.processes)
        assert await running.code(LARGE) == "measured"
        assert running.log.getvalue() == ""


async def test_at_its_end_the_broker_answers_whoever_waits_and_leaves_nothing(tmp_path: Path) -> None:
    async with measuring(tmp_path) as running:
        running.stop()
        images = [running.send(LARGE) for _ in range(3)]
        await until(lambda: len(running.pool.waiting) == 2)
        pids = [process.started.pid for process in running.pool.processes]
    assert [await image for image in images] == ["processor_failed"] * 3
    assert not any(exists(pid) for pid in pids)
    assert not is_there(tmp_path / "broker")


async def test_the_broker_also_waits_for_processes_that_it_has_given_up(tmp_path: Path) -> None:
    """These close their pipes at once, and live for some time after that."""
    starts = Starts(sys.executable, "-S", "-c", "import os, time; os.closerange(3, 1000); time.sleep(1.5)")
    async with measuring(tmp_path, ready=False, start=starts, starting=0.2):
        await until(lambda: len(starts.started) == 2)
        await asyncio.sleep(0.5)
    assert None not in [process.returncode for process in starts.started]


def is_there(path: Path) -> bool:
    return path.exists()


async def test_without_a_broker_the_processor_has_failed(tmp_path: Path) -> None:
    processor = BrokerProcessor(tmp_path / "broker", make_logger(Settings.load({})))
    with pytest.raises(ProblemError, match="processor_failed"):
        await processor.measure(invocation(SMALL))


async def test_a_broker_that_dies_is_a_failure_of_the_processor(tmp_path: Path) -> None:
    """Whoever listens here takes the request and closes the connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "broker"))
        listener.listen()
        processor = BrokerProcessor(tmp_path / "broker", make_logger(Settings.load({})))
        image = asyncio.create_task(processor.measure(invocation(SMALL)))
        connection, _ = await asyncio.to_thread(listener.accept)
        connection.close()
        with pytest.raises(ProblemError, match="processor_failed"):
            await image


PARENT = """
import asyncio, sys
from pathlib import Path
from local_server.measuring.pool import Bounds
from tests.cli.command import until as wait_until
from tests.local.measuring import black, measuring

async def main():
    async with measuring(Path(sys.argv[1])) as running:
        images = [running.send(black(14_000)) for _ in range(1)]
        await asyncio.sleep(0.1)
        print(*[process.started.pid for process in running.pool.processes], flush=True)
        await asyncio.gather(*images)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_measuring_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """One of the two has an image under way that would take longer."""
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as parent:
        assert parent.stdout
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(exists(pid) for pid in pids)
        parent.kill()
    wait_until(lambda: not any(exists(pid) for pid in pids))


def exists(pid: int) -> bool:
    """Whether there is such a process, and it does not only wait to be buried."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
