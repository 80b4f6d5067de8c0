"""The measuring processes: which image goes to which of them, and when, and what takes the place of one that ended.

There is one for each core, one more for small images, and one for jobs as soon as there is a job. Large images wait for
each other, in order. A small image takes the process for small images, or any other that is idle but the one for jobs.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

from contract.jobs import QUEUED_SECONDS
from contract.problems import ProblemCode
from gateway.measuring.processor_client import BUSY_DETAIL, FAILED_DETAIL, TIMEOUT_DETAIL
from image_intensity.slots import cores, ending
from local_server.measuring.budget import Budget, default_bytes
from local_server.measuring.caller import BusyError, Caller, GoneError, problem
from local_server.measuring.process import Process, ProcessError, Start, start

if TYPE_CHECKING:
    import socket
    from types import TracebackType

    from aws_lambda_powertools import Logger

    from local_server.measuring.process import Kind
    from local_server.storage import Storage

# Before a process is started again that has ended before it had measured anything. Otherwise one that always fails
# would take a whole core for its starts.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is measured at a time, and how long.

    processes: for images of any size; small ones have one more, and jobs too. decoded_bytes: memory for decoding, all
    images together. In seconds: waiting: for a turn and for memory. measuring: an image. starting: a process. A job may
    wait for `job_waiting`, and be measured for `job_measuring`, as long as on AWS.
    """

    processes: int = field(default_factory=cores)
    decoded_bytes: int = field(default_factory=default_bytes)
    waiting: float = 25
    measuring: float = 25
    starting: float = 30
    job_waiting: float = QUEUED_SECONDS
    job_measuring: float = 900


class Waiter(NamedTuple):
    """An image that waits for a process."""

    caller: Caller
    kind: Kind
    turn: asyncio.Future[Process]


class Pool:
    """Processes that measure images. Use it as a context manager; at its end, the processes end."""

    def __init__(
        self, logger: Logger, storage: Storage | None = None, start: Start = start, bounds: Bounds | None = None
    ) -> None:
        """Measure within `bounds`.

        storage: where uploaded images are; without it, in AWS or at the address in AWS_ENDPOINT_URL_S3. start: starts
        the processes.
        """
        self.logger, self.storage, self.start = logger, storage, start
        self.bounds = bounds or Bounds()
        self.budget = Budget(self.bounds.decoded_bytes)
        # Those that are ready, and those of them that measure nothing.
        self.processes: set[Process] = set()
        self.idle: set[Process] = set()
        self.renewed: set[Process] = set()
        self.waiting: deque[Waiter] = deque()

    async def __aenter__(self) -> Self:
        """Start the processes, without waiting until they are ready."""
        kinds: list[Kind] = ["any" for _ in range(self.bounds.processes)]
        self.keepers = {asyncio.create_task(self._keep(kind)): kind for kind in [*kinds, "small"]}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes. Whoever waits gets `processor_failed`."""
        for keeper in self.keepers:
            keeper.cancel()
        await asyncio.wait(self.keepers)
        self._refuse_all(ProcessError("the server stops"))

    async def answer(self, request: bytes, connection: socket.socket) -> bytes:
        """Have an image measured, and return nothing: its worker gets the answer from the process.

        Returns a problem if there is no answer. Raises GoneError if the worker has given up before its turn.
        """
        asked = json.loads(request)
        kind: Kind = asked["kind"]
        caller = Caller(connection, self.bounds.job_waiting if kind == "job" else self.bounds.waiting)
        if kind == "job" and kind not in self.keepers.values():
            self.keepers[asyncio.create_task(self._keep(kind))] = kind
        try:
            await self._measure(request, caller, kind)
        except BusyError:
            return problem(ProblemCode.PROCESSOR_BUSY, BUSY_DETAIL)
        except TimeoutError:
            return problem(ProblemCode.PROCESSOR_TIMEOUT, TIMEOUT_DETAIL)
        except ProcessError as error:
            self._log("processor failed", str(error), request_id=asked["event"]["request_id"])
            return problem(ProblemCode.PROCESSOR_FAILED, FAILED_DETAIL)
        return b""

    async def _measure(self, request: bytes, caller: Caller, kind: Kind) -> None:
        """Have an image measured. Raises BusyError, GoneError, TimeoutError and ProcessError."""
        process = self._idle_for(kind) or await self._turn(caller, kind)
        self.idle.discard(process)
        try:
            message, content = await self._measure_with(process, request, caller)
            process.measured += 1
        except (ProcessError, TimeoutError, asyncio.CancelledError):
            process.kill()
            raise
        finally:
            self._give_back(process)
        if message == "failure":
            raise ProcessError(json.loads(content))

    async def _turn(self, caller: Caller, kind: Kind) -> Process:
        """Return a process when it is the caller's turn. Raises BusyError, GoneError; ProcessError if none starts."""
        waiter = Waiter(caller, kind, asyncio.get_running_loop().create_future())
        self.waiting.append(waiter)
        try:
            return await caller.wait_for(waiter.turn)
        finally:
            if waiter in self.waiting:
                self.waiting.remove(waiter)

    async def _measure_with(self, process: Process, request: bytes, caller: Caller) -> tuple[str, bytes]:
        """Have `process` measure an image, and return its last message.

        Raises BusyError or GoneError if it was not measured. Raises ProcessError or TimeoutError: the process is to be
        ended.
        """
        now = asyncio.get_running_loop().time
        async with asyncio.timeout(self._seconds(process.kind)) as limit:
            process.tell(request, caller.connection.fileno())
            kind, content = await process.hear()
            if kind != "needs":
                return kind, content
            # While the image waits for memory, its time does not pass.
            left = (limit.when() or 0) - now()
            limit.reschedule(None)
            try:
                async with self.budget.share(int(content), caller):
                    limit.reschedule(now() + left)
                    process.tell('{"granted": true}')
                    return await process.hear()
            except (BusyError, GoneError):
                limit.reschedule(now() + left)
                process.tell('{"granted": false}')
                await process.hear()
                raise

    def renew(self) -> None:
        """End the processes, each after the image that it has under way. Others start with the code as it is now."""
        self.renewed = set(self.processes)
        for process in self.idle:
            process.kill()
        self.idle.clear()

    def _give_back(self, process: Process) -> None:
        """Let another image have a process, unless it has ended, or is to end because the code has changed."""
        if process in self.renewed:
            process.kill()
        if process in self.processes and not process.killed:
            self.idle.add(process)
            self._hand_out()

    def _hand_out(self) -> None:
        """Give idle processes to those who wait, in their order."""
        for waiter in list(self.waiting):
            if not self.idle:
                return
            process = self._idle_for(waiter.kind)
            if process:
                self.waiting.remove(waiter)
                if waiter.caller.offer(waiter.turn, process):
                    self.idle.remove(process)

    def _idle_for(self, kind: Kind) -> Process | None:
        """Return an idle process, if there is one: for small images their own, so that large ones find the others."""
        fitting = [process for process in self.idle if process.kind == kind or (kind, process.kind) == ("small", "any")]
        return max(fitting, key=lambda process: process.kind == kind, default=None)

    def _seconds(self, kind: Kind) -> float:
        """Return how long a process of this kind may measure an image."""
        return self.bounds.job_measuring if kind == "job" else self.bounds.measuring

    def _refuse_all(self, error: ProcessError) -> None:
        """Tell all who wait why there is no process."""
        while self.waiting:
            turn = self.waiting.popleft().turn
            if not turn.done():
                turn.set_exception(error)

    async def _keep(self, kind: Kind) -> None:
        """Keep one process running until this task is cancelled."""
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            try:
                measured = await self._run(kind)
            except (ProcessError, TimeoutError) as error:
                reason = str(error) or f"it is not ready after {self.bounds.starting} s"
                self._log("a measuring process does not start", reason)
                measured = 0
                if not self.processes:
                    self._refuse_all(ProcessError("no measuring process starts"))
            pause = 0.0 if measured else min(2 * pause or FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)

    async def _run(self, kind: Kind) -> int:
        """Run a process until it ends, and return how many images it has had. Raises ProcessError and TimeoutError."""
        process = await Process.run(self.start, kind)
        try:
            async with asyncio.timeout(self.bounds.starting):
                memory = self.bounds.decoded_bytes if kind == "job" else None
                await process.prepare(self._seconds(kind), self.storage, memory)
            self.processes.add(process)
            self._give_back(process)
            await asyncio.wait({process.ended})
            if process in self.idle:
                self._log("a measuring process has ended", f"it {ending(await process.end())}")
        finally:
            self.processes.discard(process)
            self.idle.discard(process)
            await process.end()
        return process.measured

    def _log(self, message: str, error: str, **extra: str) -> None:
        self.logger.error(message, extra={"error": error, **extra})
