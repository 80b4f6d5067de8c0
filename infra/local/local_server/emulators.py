"""The emulators of the processor Lambda in Compose. Each takes one invocation at a time; two at once crash it.

The gateway of Compose is one process, and has the queue for them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from contract.jobs import QUEUED_SECONDS, Progress
from contract.problems import PROBLEM_TYPES, ProblemError
from gateway.measuring.processor_client import READ_TIMEOUT_SECONDS, LambdaProcessor, make_lambda_client
from local_server.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation
    from gateway.measuring.processor_client import Answer

# A job's emulator may take so long (docker-compose.yml), and a job may wait for another one.
JOB_READ_SECONDS = 910
# A request may wait this long for its turn. An invocation may then take 25 s; the page waits longer than both together.
QUEUE_SECONDS = 15
SERVER_ERROR = 500


class EmulatorQueue:
    """Measures with any of the emulators, when it is this image's turn."""

    def __init__(self, endpoints: tuple[str, ...], name: str, logger: Logger, *, for_jobs: bool = False) -> None:
        """Invoke the function of this name in the emulators at `endpoints`. for_jobs: an image may take minutes."""
        seconds = JOB_READ_SECONDS if for_jobs else READ_TIMEOUT_SECONDS
        emulators = [LambdaProcessor(make_lambda_client(endpoint, seconds), name, logger) for endpoint in endpoints]
        self.turns = Turns(emulators, QUEUED_SECONDS if for_jobs else QUEUE_SECONDS)
        # asyncio itself would not keep them.
        self.invocations: set[asyncio.Task[Answer]] = set()

    async def measure_job(self, invocation: Invocation, progress: Callable[[Progress], None]) -> Answer:
        return await self.measure(invocation, lambda: progress(Progress(step="reading", share=0.0)))

    async def measure(self, invocation: Invocation, begun: Callable[[], object] = bool) -> Answer:
        """Measure one image. Raises ProblemError: what is wrong with it, or processor_busy, _failed or _timeout.

        begun: is called when it is the image's turn. Raises ClientDisconnect if the client has gone before that.
        """
        emulator = await self.turns.take()
        begun()
        # What has begun is finished, also if this request is cancelled: the emulator must get no other before.
        task = asyncio.create_task(self.invoke(emulator, invocation))
        self.invocations.add(task)
        task.add_done_callback(self.invocations.discard)
        return await asyncio.shield(task)

    async def invoke(self, emulator: LambdaProcessor, invocation: Invocation) -> Answer:
        """Invoke an emulator, and give it back. The last one that did well is the next. Raises ProblemError."""
        well = False
        try:
            answer = await emulator.measure(invocation)
            well = True
        except ProblemError as problem:
            well = PROBLEM_TYPES[problem.code].status < SERVER_ERROR
            raise
        finally:
            self.turns.give_back(emulator, first=well)
        return answer
