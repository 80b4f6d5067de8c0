"""Jobs on this machine: each is a task of the HTTP worker that was asked, with a record that all workers can read.

It is signed: whoever can write to Redis could otherwise put a wrong number there.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from itsdangerous import BadSignature, Signer

from contract.invocation import measurement_answer, problem_answer
from contract.jobs import KEPT_SECONDS, Progress
from contract.problems import ProblemError
from gateway.measuring.processor_client import failure
from local_server.bodies import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation
    from contract.jobs import Job
    from gateway.measuring.cache import Store
    from local_server.processor import EmulatorQueue, SlotProcessor

# How often a record is renewed. So long, a client may not see yet that its job has begun.
BEAT_SECONDS = 1.0
# How often the answer is offered to a store that fails.
LAST_WRITES = 50


class SignedStore:
    """Values in another store, each with a signature of itself and of its name. What has none is not there."""

    def __init__(self, store: Store, secret_key: str) -> None:
        self.store, self.secret_key = store, secret_key

    async def read(self, name: str) -> bytes:
        try:
            return self.signer(name).unsign(await self.store.read(name))
        except BadSignature:
            return b""

    async def write(self, name: str, content: bytes, seconds: int, *, replace: bool) -> bool:
        return await self.store.write(name, self.signer(name).sign(content), seconds, replace=replace)

    def signer(self, name: str) -> Signer:
        return Signer(self.secret_key, salt=f"job {name}", digest_method=hashlib.sha256)


class TaskQueue:
    """Begins each job at once, as a task. Where jobs wait for each other, the processor makes them wait."""

    def __init__(self, store: Store, processor: SlotProcessor | EmulatorQueue, logger: Logger) -> None:
        self.store, self.processor, self.logger = store, processor, logger
        # asyncio itself would not keep them.
        self.tasks: set[asyncio.Task[None]] = set()

    async def send(self, name: str, job: Job, invocation: Invocation) -> None:
        context = copy_context()
        # It goes on when the client of this request has gone.
        context.run(current.set, None)
        task = asyncio.get_running_loop().create_task(self.work(name, job, invocation), context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def work(self, name: str, job: Job, invocation: Invocation) -> None:
        """Measure, and say in the record all the time that this worker lives, until it has the answer."""

        def begun() -> None:
            nonlocal job
            job = job.taken()

        measuring = asyncio.create_task(self.answer(invocation, begun))
        while not measuring.done():
            # How far a worker is, it does not say.
            await self.keep(name, job.alive(Progress(step="measuring", share=0.0)) if job.begun else job.waiting())
            await asyncio.wait([measuring], timeout=BEAT_SECONDS)
        finished = job.finished(measuring.result())
        # The answer took minutes. A store that is away for a moment must not lose it.
        for _ in range(LAST_WRITES):
            if await self.keep(name, finished):
                return
            await asyncio.sleep(BEAT_SECONDS)

    async def answer(self, invocation: Invocation, begun: Callable[[], object]) -> dict[str, Any]:
        try:
            return measurement_answer((await self.processor.measure_job(invocation, begun)).measurement)
        except ProblemError as problem:
            return problem_answer(problem)
        except Exception as error:  # noqa: BLE001 - nobody waits who could be told
            return problem_answer(failure(f"{type(error).__name__}: {error}", self.logger))

    async def keep(self, name: str, job: Job) -> bool:
        try:
            return await self.store.write(name, job.to_json(), KEPT_SECONDS, replace=True)
        except Exception as error:  # noqa: BLE001 - the next beat tries again
            self.logger.warning("the store of jobs failed", extra={"error": f"{type(error).__name__}: {error}"})
            return False
