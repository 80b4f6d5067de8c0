"""The programs that a run starts: each is known to the run's guard, and ends with the run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import IO, TYPE_CHECKING, Self

from local_server import guard
from local_server.private_folder import PROCESSES, VARIABLE

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path


class Children:
    """Starts and ends programs."""

    def __init__(self, folder: Path) -> None:
        """Make programs of the run with this private folder."""
        self.folder = folder
        self.running: set[int] = set()
        self.guard: Process | None = None
        # asyncio itself would not keep them.
        self.tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def guarded(cls, folder: Path) -> AsyncIterator[Self]:
        """Return what starts programs, with a guard that ends them and removes `folder` if this process is killed."""
        children = cls(folder)
        keeper = asyncio.create_task(children.keep_guard())
        try:
            yield children
        finally:
            keeper.cancel()
            if children.guard and children.guard.stdin:
                children.guard.stdin.close()
                await children.guard.wait()

    async def keep_guard(self) -> None:
        """Run a guard, and another one if somebody ends it."""
        while True:
            # -I and -S: it starts in an instant and loads no package.
            command = [sys.executable, "-I", "-S", guard.__file__, str(self.folder)]
            self.guard = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, start_new_session=True
            )
            self.tell(*self.running)
            await self.guard.wait()
            await asyncio.sleep(1)

    async def start(
        self,
        *command: str,
        variables: Mapping[str, str],
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> Process:
        """Start a program with these environment variables and PATH. Raises OSError.

        It is in a session of its own, so that Ctrl+C does not reach it: requests under way still need it.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"PATH": os.environ.get("PATH", os.defpath), **variables, VARIABLE: str(self.folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self.running.add(process.pid)
        self.tell(process.pid)
        self.remember(asyncio.create_task(self.reap(process)))
        return process

    def remember(self, task: asyncio.Task[None]) -> None:
        """Keep a task until it is done."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def reap(self, process: Process) -> None:
        """Forget a process when it ends: its number may then become another program's."""
        await process.wait()
        self.running.discard(process.pid)
        self.tell(-process.pid)

    def tell(self, *numbers: int) -> None:
        """Note what runs, for the guard and for the sweep of a later run."""
        if self.guard and self.guard.stdin and self.guard.returncode is None:
            self.guard.stdin.write("".join(f"{number}\n" for number in numbers).encode())
        # The disk may be full. Then a later run may sweep less, if this one is killed together with its guard.
        with suppress(OSError):
            (self.folder / PROCESSES).write_text("\n".join(map(str, self.running)))


async def end(process: Process, seconds: float) -> None:
    """End a process: by SIGTERM, and by SIGKILL if it has not ended after `seconds`."""
    with suppress(ProcessLookupError):
        process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await process.wait()
                return
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
