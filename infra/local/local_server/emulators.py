"""The emulators of the processor Lambda in Compose. Each takes one invocation at a time; two at once crash it."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

from contract.jobs import QUEUED_SECONDS, Progress
from contract.problems import PROBLEM_TYPES, ProblemError
from gateway.measuring.processor_client import READ_TIMEOUT_SECONDS, LambdaProcessor, make_lambda_client
from local_server.bodies import waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation
    from gateway.measuring.processor_client import Answer

# A job's emulator may take so long (docker-compose.yml), and a job may wait for another one.
JOB_READ_SECONDS = 910
# A request may wait this long in the queue. An invocation may then take 25 s; the page waits longer than both together.
QUEUE_SECONDS = 15


class EmulatorQueue:
    def __init__(self, endpoints: tuple[str, ...], name: str, logger: Logger, *, for_jobs: bool = False) -> None:
        """Invoke the function of this name in the emulators at `endpoints`. for_jobs: an image may take minutes."""
        seconds = JOB_READ_SECONDS if for_jobs else READ_TIMEOUT_SECONDS
        self.seconds = QUEUED_SECONDS if for_jobs else QUEUE_SECONDS
        # The idle ones. Those that have failed come last, and among equals the one that has rested longest is the next.
        self.idle: asyncio.PriorityQueue[tuple[bool, int, LambdaProcessor]] = asyncio.PriorityQueue()
        self.order = count()
        for endpoint in endpoints:
            self.give_back(LambdaProcessor(make_lambda_client(endpoint, seconds), name, logger), well=True)

    async def measure_job(self, invocation: Invocation, progress: Callable[[Progress], None]) -> Answer:
        return await self.measure(invocation, lambda: progress(Progress(step="reading", share=0.0)))

    async def measure(self, invocation: Invocation, begun: Callable[[], object] = bool) -> Answer:
        """Call `begun`, and measure. Raises ProblemError, and ClientDisconnect if the client goes before `begun`."""
        async with waiting(self.seconds):
            *_, emulator = await self.idle.get()
        begun()
        # What has begun is finished, also if this request is cancelled: the emulator takes no other before.
        task = asyncio.create_task(emulator.measure(invocation))
        task.add_done_callback(lambda task: self.give_back(emulator, well=went_well(task)))
        return await asyncio.shield(task)

    def give_back(self, emulator: LambdaProcessor, *, well: bool) -> None:
        self.idle.put_nowait((not well, next(self.order), emulator))


def went_well(task: asyncio.Task[Answer]) -> bool:
    """Return whether an emulator has answered, perhaps with what is wrong with the image."""
    if task.cancelled():
        return False
    problem = task.exception()
    if isinstance(problem, ProblemError):
        return PROBLEM_TYPES[problem.code].status < 500  # noqa: PLR2004 - HTTP's
    return problem is None
