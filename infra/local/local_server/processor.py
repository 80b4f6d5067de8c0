"""The processor of the local run: each worker has a slot for any image, one for small images, and one for jobs."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from contract.jobs import Progress
from contract.problems import ProblemCode, ProblemError
from gateway.measuring.processor_client import Answer, TimeUsedUpError, failure
from image_intensity.slots import Slot, SlotError, TimeLimitError
from local_server.measuring import load, load_for_jobs, measure, measure_job
from local_server.small import is_small
from local_server.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation
    from image_intensity import Measurement

# An image may take so long, and wait so long for its turn.
MEASURING_SECONDS, WAITING_SECONDS = 25.0, 25.0
# As long as on AWS.
JOB_SECONDS = 900.0
LOOK_SECONDS = 0.25


class SlotProcessor:
    """Measures in processes that can be ended: a crash, or too much time, costs one image."""

    def __init__(self, folder: Path, logger: Logger, seconds: float = MEASURING_SECONDS) -> None:
        """folder: of the run. seconds: the most time for an image. The first one starts the processes."""
        self.folder, self.logger, self.seconds = folder, logger, seconds
        self.jobs_in_order = asyncio.Lock()

    @cached_property
    def any(self) -> Slot:
        return Slot(self.seconds, load)

    @cached_property
    def small(self) -> Slot:
        return Slot(self.seconds, load)

    @cached_property
    def turns(self) -> Turns[Slot]:
        return Turns([self.small, self.any], WAITING_SECONDS)

    @cached_property
    def for_jobs(self) -> Slot:
        return Slot(JOB_SECONDS, load_for_jobs)

    def close(self) -> None:
        for slot in list(self.__dict__.values()):
            if isinstance(slot, Slot):
                slot.kill()

    async def measure(self, invocation: Invocation) -> Answer:
        """Measure one image. Raises ProblemError: what is wrong with it, or processor_busy, _failed or _timeout.

        Raises ClientDisconnect if the client of the request has gone before it is the image's turn.
        """
        small = isinstance(invocation.image, bytes) and is_small(invocation.image)
        slot = await self.turns.take(*([self.small] if small else []), self.any)
        result = slot.submit(measure, invocation, self.folder, self.seconds)
        loop = asyncio.get_running_loop()
        # Not when this request ends, which may be earlier.
        result.add_done_callback(lambda _: loop.call_soon_threadsafe(self.turns.give_back, slot))
        return await self.answer(result)

    async def measure_job(self, invocation: Invocation, progress: Callable[[Progress], None]) -> Answer:
        """Measure the image of a job, when no other job is measured on this machine. Raises ProblemError."""
        async with self.jobs_in_order:
            lock = FileLock(self.folder / "job", timeout=0)
            while not acquired(lock):  # noqa: ASYNC110 - other processes have it
                await asyncio.sleep(LOOK_SECONDS)
            try:
                progress(Progress(step="measuring", share=0.0))
                return await self.answer(self.for_jobs.submit(measure_job, invocation, self.folder))
            finally:
                lock.release()

    async def answer(self, result: Future[Measurement]) -> Answer:
        """Return what a process has measured. Raises ProblemError."""
        try:
            return Answer(await asyncio.wrap_future(result))
        except ProblemError:
            raise
        except TimeLimitError as error:
            if error.used_up:
                raise TimeUsedUpError from error
            raise ProblemError(ProblemCode.PROCESSOR_TIMEOUT) from error
        except SlotError as error:
            raise failure(f"the measuring process {error}", self.logger) from error
        except Exception as error:
            raise failure(f"{type(error).__name__}: {error}", self.logger) from error


def acquired(lock: FileLock) -> bool:
    """Acquire a lock, and return whether that was possible now. It ends with this process, however that ends."""
    try:
        lock.acquire()
    except Timeout:
        return False
    return True
