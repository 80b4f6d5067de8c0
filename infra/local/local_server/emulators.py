"""The emulators of the processor Lambda in Compose. Each takes one invocation at a time; two at once crash it."""

from __future__ import annotations

from collections import deque
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.measuring.processor_client import BUSY_DETAIL, LambdaProcessor, make_lambda_client

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation
    from gateway.measuring.processor_client import Answer

# A request may wait this long for its turn. An invocation may then take 25 s; the page waits longer than both together.
QUEUE_SECONDS = 15
SERVER_ERROR = 500


class EmulatorQueue:
    """Gives each emulator one image at a time. Further images wait in a queue."""

    def __init__(self, endpoints: tuple[str, ...], function_name: str, logger: Logger) -> None:
        """Invoke the function of this name in the emulators at `endpoints`."""
        self.idle = deque(
            LambdaProcessor(make_lambda_client(endpoint), function_name, logger) for endpoint in endpoints
        )
        self.turns = BoundedSemaphore(len(endpoints))

    def measure(self, invocation: Invocation) -> Answer:
        """Measure one image. Raises ProblemError: what is wrong with it, or processor_busy, _failed or _timeout."""
        if not self.turns.acquire(timeout=QUEUE_SECONDS):
            raise ProblemError(ProblemCode.PROCESSOR_BUSY, BUSY_DETAIL)
        emulator = self.idle.pop()
        failed = False
        try:
            return emulator.measure(invocation)
        except ProblemError as problem:
            failed = PROBLEM_TYPES[problem.code].status >= SERVER_ERROR
            raise
        finally:
            # The right end of the queue is used first. An emulator that has failed goes to the left, behind the others.
            (self.idle.appendleft if failed else self.idle.append)(emulator)
            self.turns.release()
