"""The memory that images may take while they are decoded, all together."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local_server.measuring.caller import Caller

CGROUPS = Path("/sys/fs/cgroup")
# Of the machine's memory. The other half is for all else: the processes themselves (60 MB each), files that wait, the
# cache, MiniStack, and other programs.
SHARE = 2


class Waiter(NamedTuple):
    """An image that waits until so many bytes are free."""

    caller: Caller
    size: int
    turn: asyncio.Future[None]


class Budget:
    """Bytes that are lent to images, in the order in which they ask. An image that needs more than all runs alone."""

    def __init__(self, total: int) -> None:
        """Lend `total` bytes."""
        self.total = total
        self.lent = 0
        self.waiting: deque[Waiter] = deque()

    @asynccontextmanager
    async def share(self, size: int, caller: Caller) -> AsyncIterator[None]:
        """Lend `size` bytes to `caller` until the block ends. Raises BusyError or GoneError instead."""
        waiter = Waiter(caller, size, asyncio.get_running_loop().create_future())
        self.waiting.append(waiter)
        self._lend()
        try:
            await caller.wait_for(waiter.turn)
        finally:
            if waiter in self.waiting:
                self.waiting.remove(waiter)
                self._lend()
        try:
            yield
        finally:
            self.lent -= size
            self._lend()

    def _lend(self) -> None:
        """Lend to those who wait, as long as there is enough for the first."""
        while self.waiting and (not self.lent or self.lent + self.waiting[0].size <= self.total):
            waiter = self.waiting.popleft()
            if waiter.caller.offer(waiter.turn, None):
                self.lent += waiter.size


def default_bytes() -> int:
    """Return half of the memory that this machine has, or that the container may use."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, *container_limits(Path("/proc/self/cgroup"), CGROUPS)) // SHARE


def container_limits(own: Path, root: Path) -> list[int]:
    """Return the limits on memory of this process's control group and those above it; infinity is not among them.

    own: the file that names the group. root: where the groups are. https://docs.kernel.org/admin-guide/cgroup-v2.html
    """
    try:
        names = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        # This is not Linux.
        return []
    limits = []
    for _, controllers, name in names:
        # In version 1, each controller has a tree of its own.
        tree, file = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        if controllers in {"", "memory"}:
            group = Path(name.lstrip("/"))
            limits += [limit for each in (group, *group.parents) if (limit := read_limit(tree / each / file))]
    return limits


def read_limit(file: Path) -> int | None:
    """Return the number in a file; None if there is none: the group has no limit, or the container does not see it."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
