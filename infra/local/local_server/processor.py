"""The processor in this process: the code of the Lambda, without the network. For Windows, which has no broker."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from contract.jobs import Progress
from contract.problems import ProblemCode, ProblemError
from gateway.measuring.processor_client import BUSY_DETAIL, FAILED_DETAIL, Answer
from processor.handler import measure_invocation
from processor.storage import client, client_config, content

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation
    from local_server.storage import Storage

# A request may wait this long for its turn. On Lambda, the gateway allows the same time for waiting and measuring.
QUEUE_SECONDS = 25
# So many measurements wait or run at a time.
THREADS = 40


class InProcessProcessor:
    """Measures on threads, as many images at a time as there are cores.

    Decoding a JPEG releases Python's lock. Decoding a PNG with 8 bits per sample does not, and everything else waits.
    """

    def __init__(self, logger: Logger, storage: Storage | None = None) -> None:
        """Read uploaded images from `storage`; without it, from AWS or the address in AWS_ENDPOINT_URL_S3."""
        self.logger = logger
        self.connect = (lambda: storage.client(client_config())) if storage else client
        # More at a time would not be faster, and each takes its memory.
        self.turns = BoundedSemaphore(os.cpu_count() or 1)
        self.threads = ThreadPoolExecutor(THREADS)

    async def measure(self, invocation: Invocation) -> Answer:
        """Measure one image. Raises ProblemError: what is wrong with it, processor_busy or processor_failed."""
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self.threads, run, self.measure_now, invocation)

    async def measure_job(self, invocation: Invocation, progress: Callable[[Progress], None]) -> Answer:
        """Measure the image of a job, as any other. Raises ProblemError as `measure` does."""
        progress(Progress(step="measuring", share=0.0))
        return await self.measure(invocation)

    def measure_now(self, invocation: Invocation) -> Answer:
        """Measure one image on this thread."""
        if not self.turns.acquire(timeout=QUEUE_SECONDS):
            raise ProblemError(ProblemCode.PROCESSOR_BUSY, BUSY_DETAIL)
        try:
            image = content(invocation.image, self.connect)
            return Answer(measure_invocation(replace(invocation, image=image)))
        except ProblemError:
            raise
        except Exception as error:
            # On Lambda, this would be a FunctionError.
            self.logger.exception("processor failed")
            raise ProblemError(ProblemCode.PROCESSOR_FAILED, FAILED_DETAIL) from error
        finally:
            self.turns.release()
