"""The memory of images that are decoded at the same time: lent in order, up to a limit that the machine sets."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from local_server.measuring.budget import Budget, container_limits, default_bytes
from local_server.measuring.caller import BusyError, Caller, GoneError

if TYPE_CHECKING:
    from pathlib import Path

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Image:
    """An image that asks for memory, has it, and gives it back when it is told to."""

    def __init__(self, budget: Budget, size: int, seconds: float = 20) -> None:
        self.worker, connection = socket.socketpair()
        connection.settimeout(0)
        self.connection = connection
        self.has, self.done = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self.run(budget, size, Caller(connection, seconds)))

    async def run(self, budget: Budget, size: int, caller: Caller) -> None:
        with self.worker, self.connection:
            async with budget.share(size, caller):
                self.has.set()
                await self.done.wait()

    async def finish(self) -> None:
        self.done.set()
        await self.task


async def settle() -> None:
    """Let all tasks get as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def images(budget: Budget, *sizes: int) -> list[Image]:
    asking = [Image(budget, size) for size in sizes]
    await settle()
    return asking


async def test_images_have_memory_at_the_same_time_up_to_the_limit() -> None:
    budget = Budget(10)
    first, second, third = await images(budget, 4, 6, 1)
    assert [image.has.is_set() for image in (first, second, third)] == [True, True, False]
    await first.finish()
    await settle()
    assert third.has.is_set()
    await second.finish()
    await third.finish()
    assert budget.lent == 0


async def test_a_later_image_does_not_overtake_one_that_waits() -> None:
    first, second, third = await images(Budget(10), 8, 8, 1)
    assert [image.has.is_set() for image in (first, second, third)] == [True, False, False]
    await first.finish()
    await settle()
    assert [image.has.is_set() for image in (second, third)] == [True, True]
    await second.finish()
    await third.finish()


async def test_an_image_that_needs_more_than_all_runs_alone() -> None:
    first, large, third = await images(Budget(10), 1, 100, 1)
    assert [image.has.is_set() for image in (first, large, third)] == [True, False, False]
    await first.finish()
    await settle()
    assert [image.has.is_set() for image in (large, third)] == [True, False]
    await large.finish()
    await settle()
    assert third.has.is_set()
    await third.finish()


async def test_whoever_has_waited_too_long_or_is_gone_lets_the_next_one_go() -> None:
    budget = Budget(10)
    async with AsyncExitStack() as stack:
        first, *_ = await images(budget, 5)
        impatient = Image(budget, 9, seconds=0.05)
        [gone, last] = await images(budget, 9, 5)
        stack.push_async_callback(last.finish)
        with pytest.raises(BusyError):
            await impatient.task
        gone.worker.close()
        await first.finish()
        with pytest.raises(GoneError):
            await gone.task
        await settle()
        assert last.has.is_set()
    assert budget.lent == 0


def test_by_default_half_of_the_memory_is_lent() -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < default_bytes() <= machine // 2


def write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def test_the_limits_of_a_container_and_of_those_above_it_count(tmp_path: Path) -> None:
    write(tmp_path / "own", "0::/system.slice/docker-1.scope\n")
    write(tmp_path / "groups/system.slice/docker-1.scope/memory.max", "max\n")
    write(tmp_path / "groups/system.slice/memory.max", "500000000\n")
    write(tmp_path / "groups/memory.max", "900000000\n")
    assert container_limits(tmp_path / "own", tmp_path / "groups") == [500_000_000, 900_000_000]


def test_inside_of_a_container_its_own_group_is_the_root(tmp_path: Path) -> None:
    write(tmp_path / "own", "0::/\n")
    write(tmp_path / "groups/memory.max", "512000000\n")
    assert container_limits(tmp_path / "own", tmp_path / "groups") == [512_000_000]


def test_the_older_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    write(tmp_path / "own", "3:cpu,cpuacct:/a\n2:memory:/docker/1\n")
    write(tmp_path / "groups/memory/docker/1/memory.limit_in_bytes", "300000000\n")
    assert container_limits(tmp_path / "own", tmp_path / "groups") == [300_000_000]


def test_a_machine_without_control_groups_has_no_further_limit(tmp_path: Path) -> None:
    assert container_limits(tmp_path / "missing", tmp_path) == []
