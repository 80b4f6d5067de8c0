"""What measures in the local run: processes of its own, or in Compose the emulators of the processor Lambda."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import cached_property, partial
from itertools import count
from typing import TYPE_CHECKING

from filelock import AsyncFileLock
from starlette.requests import ClientDisconnect

from contract.jobs import QUEUED_SECONDS
from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.measuring.jobs import SERVER_ERROR
from gateway.measuring.processor_client import (
    READ_TIMEOUT_SECONDS,
    Answer,
    LambdaProcessor,
    TimeUsedUpError,
    failure,
    make_lambda_client,
)
from image_intensity.slots import Slot, TimeLimitError
from local_server.bodies import waiting
from local_server.measuring import NotSmallError, load, measure, measure_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation
    from image_intensity import Measurement

# An image may take so long, and wait so long in the queue.
MEASURING_SECONDS, WAITING_SECONDS = 25.0, 25.0
# As long as on AWS.
JOB_SECONDS = 900.0
# What the slot for small images takes. Measuring one takes some 20 ms. A progressive JPEG with as many scans as the
# core allows takes 150 ms. A short file alone says nothing: 3 KB can be 64 megapixels.
SMALL_FILE, SMALL_DECODED = 1 << 20, 16 << 20
# A request may wait so long for an emulator. Its invocation may then take 25 s; the page waits longer than both.
QUEUE_SECONDS = 15
# A job's emulator may take so long (docker-compose.yml), and a job may wait for another one.
JOB_READ_SECONDS = 910


class SlotProcessor:
    """Measures in slots: a crash costs one image. Each worker has one for any image, for small ones, and for jobs."""

    def __init__(self, folder: Path, logger: Logger, seconds: float = MEASURING_SECONDS) -> None:
        self.folder, self.logger, self.seconds = folder, logger, seconds
        self.any, self.small = Slot(seconds, load), Slot(seconds, load)
        self.jobs_in_order = asyncio.Lock()

    @cached_property
    def for_jobs(self) -> Slot:
        # Whoever waits for an answer comes first.
        return Slot(JOB_SECONDS, partial(getattr(os, "nice", abs), 10))

    def close(self) -> None:
        for slot in [each for each in self.__dict__.values() if isinstance(each, Slot)]:
            slot.kill()

    async def measure(self, invocation: Invocation) -> Answer:
        """Measure one image. Raises ProblemError, and ClientDisconnect if its client goes while it is in the queue."""
        may_be_small = isinstance(invocation.image, bytes) and len(invocation.image) <= SMALL_FILE
        if may_be_small and (self.small.idle or not self.any.idle):
            with suppress(NotSmallError):
                result = self.small.submit(measure, invocation, self.folder, self.seconds, SMALL_DECODED)
                return await self.answer(result)
        return await self.answer(self.any.submit(measure, invocation, self.folder, self.seconds))

    async def measure_job(self, invocation: Invocation, begun: Callable[[], object]) -> Answer:
        """Measure the image of a job, when no other job is measured on this machine. Raises ProblemError."""
        async with self.jobs_in_order, AsyncFileLock(self.folder / "job", poll_interval=0.25):
            begun()
            return await self.answer(self.for_jobs.submit(measure_job, invocation, self.folder))

    async def answer(self, result: Future[Measurement]) -> Answer:
        """Return what a process has measured, unless that waits too long in the queue. Raises ProblemError."""
        measured = asyncio.wrap_future(result)
        try:
            async with waiting(WAITING_SECONDS):
                await asyncio.wait([measured])
        except (ProblemError, ClientDisconnect):
            # What has begun is finished.
            if result.cancel():
                raise
        try:
            return Answer(await measured)
        except (ProblemError, NotSmallError):
            raise
        except TimeLimitError as error:
            raise (TimeUsedUpError() if error.used_up else ProblemError(ProblemCode.PROCESSOR_TIMEOUT)) from error
        except Exception as error:
            raise failure(f"in the measuring process: {error!r}", self.logger) from error


class EmulatorQueue:
    """Emulators. Each takes one invocation at a time; two at once crash it."""

    def __init__(self, endpoints: tuple[str, ...], name: str, logger: Logger, *, for_jobs: bool = False) -> None:
        """Invoke the function of this name in the emulators at `endpoints`. for_jobs: an image may take minutes."""
        seconds = JOB_READ_SECONDS if for_jobs else READ_TIMEOUT_SECONDS
        self.seconds = QUEUED_SECONDS if for_jobs else QUEUE_SECONDS
        # The idle ones. Those that have failed come last, and among equals the one that has rested longest is the next.
        self.idle: asyncio.PriorityQueue[tuple[bool, int, LambdaProcessor]] = asyncio.PriorityQueue()
        self.order = count()
        for endpoint in endpoints:
            self.idle.put_nowait(
                (False, next(self.order), LambdaProcessor(make_lambda_client(endpoint, seconds), name, logger))
            )

    async def measure(self, invocation: Invocation, begun: Callable[[], object] = bool) -> Answer:
        """Call `begun`, and measure. Raises ProblemError, and ClientDisconnect if the client goes before `begun`."""
        async with waiting(self.seconds):
            *_, emulator = await self.idle.get()
        begun()
        # What has begun is finished, also if this request is cancelled: the emulator takes no other before.
        return await asyncio.shield(self.invoke(emulator, invocation))

    measure_job = measure

    async def invoke(self, emulator: LambdaProcessor, invocation: Invocation) -> Answer:
        failed = False
        try:
            return await emulator.measure(invocation)
        except Exception as error:
            # What is wrong with an image is an answer.
            failed = not isinstance(error, ProblemError) or PROBLEM_TYPES[error.code].status >= SERVER_ERROR
            raise
        finally:
            self.idle.put_nowait((failed, next(self.order), emulator))
