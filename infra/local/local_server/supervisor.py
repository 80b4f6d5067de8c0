"""The parent of a run: it starts the storage and the HTTP workers, replaces what dies, and ends everything."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from image_intensity.slots import cores
from local_server import storage as ministack
from local_server.accepting import Shares
from local_server.children import Children, end
from local_server.listening import address_of
from local_server.local_log import make_local_logger
from local_server.measuring.broker import broker
from local_server.measuring.process import KEEP_MEMORY
from local_server.private_folder import private_folder
from local_server.settings import REPOSITORY, SHUTDOWN_SECONDS, StartError
from local_server.storage import StorageError, new_storage

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from local_server.measuring.broker import Broker
    from local_server.settings import LocalSettings
    from local_server.storage import Storage

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CODE = ("core", "functions", "infra/local", "layers")
WATCH_SECONDS = 0.25
STORAGE_STOP_SECONDS = 5
# What has run this long was well, and is replaced at once. Else there is a pause before, which doubles each time.
WELL_SECONDS = 10
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 10


async def supervise(settings: LocalSettings, listener: socket.socket) -> None:
    """Serve on `listener` until a signal ends that. Raises StartError."""
    with private_folder() as folder:
        async with Children.guarded(folder) as children:
            await Supervisor(settings, listener, children).run()


class Supervisor:
    """One run of the service."""

    def __init__(self, settings: LocalSettings, listener: socket.socket, children: Children) -> None:
        """Serve on `listener`, with programs that `children` starts."""
        self.settings = settings
        self.listener = listener
        self.children = children
        self.storage: Storage | None = None
        self.broker: Broker
        # The descriptor of the file that the workers share.
        self.shares: int
        self.storage_folder = children.folder / "storage"
        self.storage_folder.mkdir()
        self.workers: set[Process] = set()
        # Those that were told to end: another one starts at once, and nobody needs to know.
        self.dismissed: set[Process] = set()
        self.storage_settled = asyncio.Event()
        self.ready = asyncio.Event()
        self.changed = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal ends that. Raises StartError."""
        stop = asyncio.Event()
        for number in ENDING:
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if self.settings.ministack and not self.settings.upload_bucket:
            self.storage = new_storage()
        storage = asyncio.create_task(self.keep_storage())
        try:
            logger = make_local_logger(self.settings)
            async with broker(self.settings, self.storage, logger, self.children.folder, self.children.start) as served:
                self.broker = served
                await self.serve(stop)
        finally:
            # The storage ends last: requests under way need it.
            await cancel(storage)

    async def serve(self, stop: asyncio.Event) -> None:
        """Keep workers running until `stop` is set. Raises StartError."""
        count = self.settings.workers or cores()
        with Shares.make(self.children.folder, count) as self.shares:
            serving = [asyncio.create_task(self.keep_worker(number)) for number in range(count)]
            others = [asyncio.create_task(self.announce())]
            if self.settings.reload:
                others.append(asyncio.create_task(self.watch_code()))
            stopped = asyncio.create_task(stop.wait())
            try:
                done, _ = await asyncio.wait([stopped, *serving], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
            finally:
                await cancel(stopped, *serving, *others)

    async def announce(self) -> None:
        """Print the address when all is there."""
        await self.storage_settled.wait()
        await self.ready.wait()
        address = address_of(self.listener, self.settings.host)
        print(f"Image Intensity Service: {address} (Ctrl+C stops it)", flush=True)  # noqa: T201 - for a person

    async def keep_storage(self) -> None:
        """Run the storage, if there is to be one. If it does not start, say so, and go on without it."""
        while self.storage:
            process = None
            try:
                process = await ministack.start(
                    self.settings.ministack, self.storage, self.children, self.storage_folder
                )
                await ministack.prepare(self.storage, process, self.storage_folder)
                self.storage_settled.set()
                await process.wait()
                tell("The storage for uploads has ended; it is started again.")
                await asyncio.sleep(1)
            except StorageError as error:
                tell(f"No uploads above the inline limit, as MiniStack does not start: {error}")
                self.storage = None
                self.replace_workers()
            finally:
                if process:
                    await end(process, STORAGE_STOP_SECONDS)
        self.storage_settled.set()

    async def keep_worker(self, number: int) -> None:
        """Run a worker, and another one when it ends. Raises StartError if the first ones do not even start."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            begun = time.monotonic()
            worker = await self.start_worker(number)
            try:
                status = await worker.wait()
            finally:
                self.workers.discard(worker)
                await end(worker, SHUTDOWN_SECONDS + 1)
            if worker in self.dismissed:
                self.dismissed.discard(worker)
                continue
            if self.settings.reload:
                # It has said what is wrong with the code.
                await self.changed.wait()
                continue
            if not self.ready.is_set():
                raise StartError(f"a worker has ended with status {status}")
            tell(f"A worker has ended ({status}); another one is started.")
            pause = FIRST_PAUSE_SECONDS if time.monotonic() - begun > WELL_SECONDS else pause * 2
            await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))

    async def start_worker(self, number: int) -> Process:
        """Start a worker, which says when it serves."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the standard library's only way
        with theirs:
            inherited = (self.listener.fileno(), theirs.fileno(), self.shares)
            command = [sys.executable, "-m", "local_server.worker", *map(str, inherited)]
            secret = self.settings.secret_key.get_secret_value()
            variables = {**KEEP_MEMORY, **os.environ, "SECRET_KEY": secret}
            worker = await self.children.start(*command, variables=variables, pass_fds=inherited)
        self.workers.add(worker)
        storage = self.storage
        # No secret is in the command, which other users of the machine can read.
        orders = {
            "folder": str(self.children.folder),
            "number": number,
            "broker": str(self.broker.path),
            "storage": asdict(storage) if storage else None,
        }

        async def wait_until_ready() -> None:
            # An OSError: the worker has ended instead, and has not even read its orders.
            with ours, suppress(OSError):
                ours.send(json.dumps(orders).encode() + b"\n")
                if await asyncio.get_running_loop().sock_recv(ours, 1) and storage == self.storage:
                    self.ready.set()
                # The channel stays open as long as this process lives. So the worker notices when it does not.
                await worker.wait()

        self.children.remember(asyncio.create_task(wait_until_ready()))
        return worker

    def replace_workers(self) -> None:
        """End all workers, each when its requests are done. Others start then."""
        self.ready.clear()
        for worker in self.workers:
            self.dismissed.add(worker)
            with suppress(ProcessLookupError):
                worker.terminate()

    async def watch_code(self) -> None:
        """Replace the workers after each change of the code."""
        known = newest_change()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if (newest := newest_change()) != known:
                known = newest
                self.broker.renew()
                self.replace_workers()
                self.changed.set()
                self.changed.clear()


def newest_change() -> tuple[int, float]:
    """Return how many files of code there are, and when one was last changed."""
    times = [file.stat().st_mtime for folder in CODE for file in (REPOSITORY / folder).rglob("*.py")]
    return len(times), max(times)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and wait until they have ended what they have started."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def tell(sentence: str) -> None:
    """Say something to the person who has started the service, who may have closed the terminal since then."""
    with suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - for a person
