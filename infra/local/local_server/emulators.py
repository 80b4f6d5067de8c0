"""The processor's Lambda emulators, in Compose: each takes one invocation at a time, and two at once crash it."""

from __future__ import annotations

from collections import deque
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.measuring.processor_client import BUSY_DETAIL, DEFAULT, LambdaProcessor, make_lambda_client

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from contract.invocation import StoredImage
    from gateway.settings import Settings
    from image_intensity import Measurement, Options

# How long a request may wait for its turn: with the 25 s that an invocation may take, less than the page waits.
QUEUE_SECONDS = 15
SERVER_ERROR = 500


class EmulatorQueue:
    """Gives each emulator one image at a time, and the rest a place in the queue."""

    def __init__(self, settings: Settings, endpoints: tuple[str, ...], logger: Logger) -> None:
        """Invoke the emulators at `endpoints`."""
        self.idle = deque(LambdaProcessor(make_lambda_client(endpoint), settings, logger) for endpoint in endpoints)
        self.turns = BoundedSemaphore(len(endpoints))

    def measure(self, image: bytes | StoredImage, options: Options = DEFAULT) -> Measurement:
        """Measure one image. Raises ProblemError: what is wrong with it, or processor_busy, _failed or _timeout."""
        if not self.turns.acquire(timeout=QUEUE_SECONDS):
            raise ProblemError(ProblemCode.PROCESSOR_BUSY, BUSY_DETAIL)
        emulator = self.idle.pop()
        failed = False
        try:
            return emulator.measure(image, options)
        except ProblemError as problem:
            failed = PROBLEM_TYPES[problem.code].status >= SERVER_ERROR
            raise
        finally:
            # One that failed is asked again only when no other is idle.
            (self.idle.appendleft if failed else self.idle.append)(emulator)
            self.turns.release()
