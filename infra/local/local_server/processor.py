"""The processor of the local run: each worker has a slot for any image, one for small images, and one for jobs."""

from __future__ import annotations

import asyncio
import os
from functools import cached_property, partial
from typing import TYPE_CHECKING

from filelock import AsyncFileLock
from starlette.requests import ClientDisconnect

from contract.jobs import Progress
from contract.problems import ProblemCode, ProblemError
from gateway.measuring.processor_client import Answer, TimeUsedUpError, failure
from image_intensity.slots import Slot, SlotError, TimeLimitError
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
JOB_NICENESS = 10
LOOK_SECONDS = 0.25
# What the slot for small images takes. Measuring one takes some 20 ms. A progressive JPEG with as many scans as the
# core allows takes 150 ms. A short file alone says nothing: 3 KB can be 64 megapixels.
SMALL_FILE, SMALL_DECODED = 1 << 20, 16 << 20


class SlotProcessor:
    """Measures in processes that can be ended: a crash, or too much time, costs one image."""

    def __init__(self, folder: Path, logger: Logger, seconds: float = MEASURING_SECONDS) -> None:
        self.folder, self.logger, self.seconds = folder, logger, seconds
        self.any, self.small = Slot(seconds, load), Slot(seconds, load)
        self.jobs_in_order = asyncio.Lock()

    @cached_property
    def for_jobs(self) -> Slot:
        # Whoever waits for an answer comes first.
        return Slot(JOB_SECONDS, partial(getattr(os, "nice", abs), JOB_NICENESS))

    def close(self) -> None:
        for slot in [each for each in self.__dict__.values() if isinstance(each, Slot)]:
            slot.kill()

    async def measure(self, invocation: Invocation) -> Answer:
        """Measure one image. Raises ProblemError, and ClientDisconnect if its client goes while it is in the queue."""
        may_be_small = isinstance(invocation.image, bytes) and len(invocation.image) <= SMALL_FILE
        if may_be_small and (self.small.idle or not self.any.idle):
            try:
                result = self.small.submit(measure, invocation, self.folder, self.seconds, SMALL_DECODED)
                return await self.answer(result)
            except NotSmallError:
                pass
        return await self.answer(self.any.submit(measure, invocation, self.folder, self.seconds))

    async def measure_job(self, invocation: Invocation, progress: Callable[[Progress], None]) -> Answer:
        """Measure the image of a job, when no other job is measured on this machine. Raises ProblemError."""
        async with self.jobs_in_order, AsyncFileLock(self.folder / "job", poll_interval=LOOK_SECONDS):
            progress(Progress(step="measuring", share=0.0))
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
            if error.used_up:
                raise TimeUsedUpError from error
            raise ProblemError(ProblemCode.PROCESSOR_TIMEOUT) from error
        except SlotError as error:
            raise failure(f"the measuring process {error}", self.logger) from error
        except Exception as error:
            raise failure(f"{type(error).__name__}: {error}", self.logger) from error
