"""The processes of `make run`: what happens when one is killed, and that none is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import httpx
import pytest

from local_server.children import Children
from tests.core.samples import encoded, pixels
from tests.server import command, running_server, starting_server
from tests.support import ministack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 30
IMAGE = encoded(pixels("RGB"), "PNG")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """The folder for temporary files. A folder of pytest's has too long a path for sockets."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def measure(address: str) -> int:
    """The status of an answer; 0 if the connection broke."""
    try:
        return httpx.post(f"{address}/intensity", files={"image": ("a.png", IMAGE)}, timeout=PATIENCE).status_code
    except httpx.TransportError:
        return 0


def test_there_is_a_worker_for_each_core_or_as_many_as_the_setting_says() -> None:
    with running_server() as server:
        assert len(server.processes("local_server.worker")) == len(os.sched_getaffinity(0))
    with running_server(WORKERS="3") as server:
        assert len(server.processes("local_server.worker")) == 3


@pytest.mark.parametrize("kind", ["local_server.worker", "measuring.child", "guard.py", "ministack"])
def test_a_process_that_is_killed_is_replaced_and_the_service_goes_on(temporary: Path, kind: str) -> None:
    with running_server(MINISTACK=ministack(), TMPDIR=str(temporary), WORKERS="2") as server:
        before = server.processes(kind)
        os.kill(before[0], signal.SIGKILL)
        # Clients of another worker notice nothing; those of this one see their connection broken.
        statuses = [measure(server.address) for _ in range(20)]
        assert set(statuses) <= {200, 0}
        assert statuses[-1] == 200
        wait_for(lambda: len(server.processes(kind)) == len(before) and before[0] not in server.processes(kind))
        assert [measure(server.address) for _ in range(5)] == [200] * 5
        assert server.interrupt() == 0
        assert "Traceback" not in server.output("err")
    assert list(temporary.iterdir()) == []


def test_a_worker_is_replaced_though_the_files_of_the_run_were_removed(temporary: Path) -> None:
    """As a program does that removes old files from the folder for temporary ones."""
    with running_server(TMPDIR=str(temporary), WORKERS="2") as server:
        [folder] = temporary.iterdir()
        for file in folder.iterdir():
            if file.is_file():
                file.unlink()
        before = server.processes("local_server.worker")
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: len(server.processes("local_server.worker")) == 2 and before[0] not in server.processes())
        os.kill(before[1], signal.SIGKILL)
        wait_for(lambda: measure(server.address) == 200)
        assert "Traceback" not in server.output("err")


def test_a_run_that_is_killed_leaves_no_process_and_no_folder(tmp_path: Path, temporary: Path) -> None:
    with starting_server(tmp_path, MINISTACK=ministack(), TMPDIR=str(temporary)) as server:
        server.wait_for_address()
        processes = server.processes()
        assert len(processes) >= 3
        server.process.kill()
        wait_for(lambda: not any(map(command, processes)))
        wait_for(lambda: not list(temporary.iterdir()))


def test_a_start_sweeps_what_a_run_left_that_was_killed_with_its_guard(tmp_path: Path, temporary: Path) -> None:
    settings = {"MINISTACK": ministack(), "TMPDIR": str(temporary)}
    with starting_server(tmp_path, **settings) as server:
        server.wait_for_address()
        processes = server.processes()
        for process in [*server.processes("guard.py"), server.process.pid]:
            os.kill(process, signal.SIGKILL)
        # The workers notice by themselves. Only the storage, which is not our program, is left.
        wait_for(lambda: all("ministack" in command(process) for process in processes if command(process)))
        assert any(map(command, processes))
        assert list(temporary.iterdir())
    with running_server(**settings) as other:
        wait_for(lambda: not any(map(command, processes)))
        assert len(list(temporary.iterdir())) == 1
        assert other.interrupt() == 0
    assert list(temporary.iterdir()) == []


def test_two_runs_at_a_time_do_not_sweep_each_other(temporary: Path) -> None:
    with running_server(TMPDIR=str(temporary)) as first, running_server(TMPDIR=str(temporary)) as second:
        assert len(list(temporary.iterdir())) == 2
        assert [measure(each.address) for each in (first, second)] == [200, 200]


def test_a_long_path_of_the_temporary_folder_does_not_matter(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with running_server(TMPDIR=str(deep)) as server:
        assert measure(server.address) == 200


def test_a_worker_that_cannot_start_ends_the_run(tmp_path: Path) -> None:
    """Python finds another module under the name of one that only the workers need."""
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('this is broken')")
    with starting_server(tmp_path, PYTHONPATH=str(tmp_path), WORKERS="1") as server:
        assert server.process.wait(PATIENCE) == 1
        lines = server.output("err").splitlines()
    assert lines == ["this is broken", "Cannot start: a worker has ended with status 1"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_a_full_disk_does_not_keep_a_program_from_being_started(tmp_path: Path) -> None:
    (tmp_path / "processes").symlink_to("/dev/full")

    async def start() -> int:
        children = Children(tmp_path)
        process = await children.start(sys.executable, "-c", "", variables={})
        await asyncio.gather(*children.tasks)
        return await process.wait()

    assert asyncio.run(start()) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_a_run_that_cannot_say_what_has_happened_goes_on(tmp_path: Path) -> None:
    """For example because its terminal was closed."""
    (tmp_path / "err").symlink_to("/dev/full")
    with starting_server(tmp_path, WORKERS="1") as server:
        server.wait_for_address()
        os.kill(server.processes("local_server.worker")[0], signal.SIGKILL)
        wait_for(lambda: measure(server.address) == 200)
