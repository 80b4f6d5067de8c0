"""The emulators of the processor Lambda in Compose. Each takes one invocation at a time; two at once crash it.

The HTTP workers invoke the emulators themselves. Before, each asks the broker which emulator is free for it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from contract.jobs import QUEUED_SECONDS, Progress
from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.measuring.processor_client import (
    BUSY_DETAIL,
    READ_TIMEOUT_SECONDS,
    LambdaProcessor,
    failure,
    make_lambda_client,
    read_answer,
)
from local_server.connection import unless_gone
from local_server.measuring.caller import BusyError, Caller, problem
from local_server.measuring.child import LINE_BYTES
from local_server.measuring.request import written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation
    from gateway.measuring.processor_client import Answer
    from local_server.settings import LocalSettings

# A job's emulator may take so long (docker-compose.yml), and a job may wait for another one.
JOB_READ_SECONDS = 910
# A request may wait this long for its turn. An invocation may then take 25 s; the page waits longer than both together.
QUEUE_SECONDS = 15
SERVER_ERROR = 500
# What a worker says of its turn, in a byte each: it begins with the invocation, and how that went.
BEGUN, DONE, FAILED = b"b", b"d", b"f"


class EmulatorQueue:
    """What a worker measures with: any of the emulators, when it is this image's turn."""

    def __init__(
        self,
        path: Path,
        endpoints: tuple[str, ...],
        function_name: str,
        logger: Logger,
        seconds: float = READ_TIMEOUT_SECONDS,
    ) -> None:
        """Invoke the function of this name in the emulators at `endpoints`.

        path: of the broker's socket. seconds: how long an invocation may take.
        """
        self.path, self.logger = str(path), logger
        self.emulators = [
            LambdaProcessor(make_lambda_client(endpoint, seconds), function_name, logger) for endpoint in endpoints
        ]
        # asyncio itself would not keep them.
        self.invocations: set[asyncio.Task[Answer]] = set()

    async def measure_job(self, invocation: Invocation, progress: Callable[[Progress], None]) -> Answer:
        """Measure the image of a job, and say when that begins. Raises ProblemError as `measure` does."""
        return await self.measure(invocation, lambda: progress(Progress(step="reading", share=0.0)))

    async def measure(self, invocation: Invocation, begun: Callable[[], None] | None = None) -> Answer:
        """Measure one image. Raises ProblemError: what is wrong with it, or processor_busy, _failed or _timeout.

        begun: for a job; it is called when it is the image's turn. Raises ClientDisconnect if the client of the request
        has gone before that.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                turn = await unless_gone(self.turn(connection, job=begun is not None))
                if not turn.isdigit():
                    return read_answer(turn, invocation.options, self.logger)
                # From here to the task there is nothing to wait for, and so no cancellation in between.
                connection.send(BEGUN)
                if begun:
                    begun()
                # What has begun is finished, also if this request is cancelled: the emulator must get no other before.
                task = asyncio.create_task(self.invoke(self.emulators[int(turn)], invocation, connection.dup()))
        except OSError as error:
            raise failure(f"the broker does not answer: {error}", self.logger) from error
        self.invocations.add(task)
        task.add_done_callback(self.invocations.discard)
        return await asyncio.shield(task)

    async def turn(self, connection: socket.socket, *, job: bool) -> bytes:
        """Return the number of the emulator whose turn it is, or an answer with a problem. Raises OSError."""
        loop = asyncio.get_running_loop()
        connection.settimeout(0)
        await loop.sock_connect(connection, self.path)
        await loop.sock_sendall(connection, written({"job": job}))
        return await loop.sock_recv(connection, LINE_BYTES)

    async def invoke(self, emulator: LambdaProcessor, invocation: Invocation, connection: socket.socket) -> Answer:
        """Invoke an emulator, and tell the broker how it went. Raises ProblemError."""
        report = DONE
        with connection:
            try:
                return await emulator.measure(invocation)
            except ProblemError as problem:
                report = FAILED if PROBLEM_TYPES[problem.code].status >= SERVER_ERROR else DONE
                raise
            finally:
                with suppress(OSError):
                    await asyncio.get_running_loop().sock_sendall(connection, report)


class EmulatorTurns:
    """What the broker does: it gives each emulator to one request at a time. Further requests wait, in order."""

    def __init__(
        self,
        count: int,
        *,
        waiting: float = QUEUE_SECONDS,
        longest: float = READ_TIMEOUT_SECONDS,
        for_jobs: EmulatorTurns | None = None,
    ) -> None:
        """Give turns with `count` emulators.

        waiting: how long a request may wait, in seconds. longest: how long an invocation can take. for_jobs: gives the
        turns with the emulators for jobs.
        """
        self.for_jobs = for_jobs
        self.waiting, self.longest = waiting, longest
        self.idle = deque(range(count))
        self.waiters: deque[tuple[Caller, asyncio.Future[int]]] = deque()

    async def answer(self, request: bytes, connection: socket.socket) -> bytes:
        """Tell a worker which emulator is its own, and wait until it is done. Return a problem if there is none."""
        if self.for_jobs and json.loads(request)["job"]:
            return await self.for_jobs.answer(request, connection)
        waiter = Caller(connection, self.waiting), asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        self.hand_out()
        try:
            emulator = await waiter[0].wait_for(waiter[1])
        except BusyError:
            return problem(ProblemCode.PROCESSOR_BUSY, BUSY_DETAIL)
        await self.lend(emulator, connection)
        return b""

    def renew(self) -> None:
        """Do nothing: the code that measures is in the emulators."""

    async def lend(self, emulator: int, connection: socket.socket) -> None:
        """Let a worker have an emulator until it says that it is done with it."""
        loop, report = asyncio.get_running_loop(), b""
        try:
            await loop.sock_sendall(connection, str(emulator).encode())
            report = await loop.sock_recv(connection, 1)
            if report == BEGUN:
                report = await loop.sock_recv(connection, 1) or BEGUN
        finally:
            if report == FAILED:
                # Others come first.
                self.take_back(emulator)
            elif report == BEGUN:
                # The worker is gone, and its invocation may still run.
                loop.call_later(self.longest, self.take_back, emulator)
            else:
                # It did well; or the request was given up in the moment of its turn, and invoked nothing.
                self.idle.append(emulator)
                self.hand_out()

    def take_back(self, emulator: int) -> None:
        """Put an emulator behind the others."""
        self.idle.appendleft(emulator)
        self.hand_out()

    def hand_out(self) -> None:
        """Give emulators to those who wait. The right end is used first: the last one that did well."""
        while self.idle and self.waiters:
            caller, turn = self.waiters.popleft()
            if caller.offer(turn, self.idle[-1]):
                self.idle.pop()


def turns(settings: LocalSettings) -> EmulatorTurns:
    """Return what gives turns with the emulators of the settings."""
    for_jobs = EmulatorTurns(1, waiting=QUEUED_SECONDS, longest=JOB_READ_SECONDS) if settings.job_endpoint else None
    return EmulatorTurns(len(settings.processor_endpoints), for_jobs=for_jobs)
