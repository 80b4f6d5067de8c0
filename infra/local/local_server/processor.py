"""The processor in this process: the same code as the Lambda's, without the network."""

from __future__ import annotations

import os
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from contract.problems import ProblemCode, ProblemError
from gateway.measuring.processor_client import BUSY_DETAIL, DEFAULT, FAILED_DETAIL, make_invocation
from processor.handler import measure_invocation

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from contract.invocation import StoredImage
    from gateway.settings import Settings
    from image_intensity import Measurement, Options

# How long a request may wait for its turn: what the gateway gives the Lambda for all of it.
QUEUE_SECONDS = 25


class InProcessProcessor:
    """Measures on the calling thread, as many images at a time as there are cores.

    Decoding a JPEG releases Python's lock. That of a PNG with 8 bits per sample does not, and all else waits for it.
    """

    def __init__(self, settings: Settings, logger: Logger) -> None:
        """Measure within the limits of `settings`."""
        self.settings = settings
        self.logger = logger
        # More at a time would be no faster, and each takes its memory.
        self.turns = BoundedSemaphore(os.cpu_count() or 1)

    def measure(self, image: bytes | StoredImage, options: Options = DEFAULT) -> Measurement:
        """Measure one image. Raises ProblemError: what is wrong with it, processor_busy or processor_failed."""
        if not self.turns.acquire(timeout=QUEUE_SECONDS):
            raise ProblemError(ProblemCode.PROCESSOR_BUSY, BUSY_DETAIL)
        try:
            return measure_invocation(make_invocation(self.settings, image, options))
        except ProblemError:
            raise
        except Exception as error:
            # What would be a FunctionError on Lambda.
            self.logger.exception("processor failed")
            raise ProblemError(ProblemCode.PROCESSOR_FAILED, FAILED_DETAIL) from error
        finally:
            self.turns.release()
