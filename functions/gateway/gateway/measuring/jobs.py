"""Jobs: images that take longer than a request may. A job is made from a ticket, and its answer is asked for later.

Whoever has the ticket, or the id that was made from it, may ask. The id is a keyed digest of ticket and options: nobody
can guess it, and the same ticket with the same options is always the same job.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, NamedTuple, Protocol

from contract.invocation import measurement_answer, problem_answer
from contract.jobs import KEPT_SECONDS, Job
from contract.problems import PROBLEM_TYPES, ProblemCode, ProblemError
from gateway.measuring.breaker import told
from gateway.measuring.processor_client import read_answer

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from contract.invocation import Invocation, StoredImage
    from gateway.measuring.cache import Store
    from gateway.measuring.processor_client import Answer
    from image_intensity import Measurement, Options

# Of the digest: 192 bits are 32 characters.
ID_BYTES = 24
SERVER_ERROR = 500
# The next attempt may go well: the file may be there by then, and another worker may live.
PASSING = {ProblemCode.UPLOAD_MISSING, ProblemCode.UPLOAD_MISMATCH}


class JobQueue(Protocol):
    """What has workers measure: Lambda's own queue, or tasks of this server."""

    async def send(self, name: str, job: Job, invocation: Invocation) -> None:
        """Have a worker measure, and renew the record `name` of `job`. Raises ProblemError if none will."""


class Found(NamedTuple):
    id: str
    job: Job


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of a service.

    store: keeps their records. queue: has them worked on. secret_key: makes ids.
    """

    store: Store
    queue: JobQueue
    secret_key: str
    logger: Logger

    def id_of(self, image: StoredImage, options: Options) -> str:
        subject = f"job\0{image.bucket}\0{image.key}\0{options.key()}"
        digest = hmac.digest(self.secret_key.encode(), subject.encode(), hashlib.sha256)
        return urlsafe_b64encode(digest[:ID_BYTES]).decode()

    async def find(self, job_id: str) -> Job | None:
        """Return the job with this id; None if there is none. Raises ProblemError: processor_busy."""
        try:
            content = await self.store.read(name_of(job_id))
        except Exception as error:
            raise self.unreachable(error) from error
        try:
            return Job.from_json(content) if content else None
        except (ValueError, TypeError, KeyError):
            self.logger.exception("a job's record cannot be read")
            return None

    async def start(
        self, filename: str, invocation: Invocation, image: StoredImage, known: Measurement | None
    ) -> Found:
        """Return the job for an upload. If it is new, or the one before has failed by itself, it is begun.

        known: the measurement, if the cache has it; then there is nothing to do. Raises ProblemError.
        """
        job_id = self.id_of(image, invocation.options)
        before = await self.find(job_id)
        if before and not may_go_better(before):
            return Found(job_id, before)
        job = Job.of(filename, image, invocation.options)
        if known:
            job = job.finished(measurement_answer(known))
        # Of several that come at once, one begins the job.
        if await self.keep(name_of(job_id), job, replace=before is not None) and not known:
            try:
                await self.queue.send(name_of(job_id), job, invocation)
            except ProblemError as problem:
                await self.keep(name_of(job_id), job.finished(problem_answer(problem)), replace=True)
                raise
        return Found(job_id, job)

    async def keep(self, name: str, job: Job, *, replace: bool) -> bool:
        """Keep a record, and return whether it is kept now. Raises ProblemError: processor_busy."""
        try:
            return await self.store.write(name, job.to_json(), KEPT_SECONDS, replace=replace)
        except Exception as error:
            raise self.unreachable(error) from error

    def answer(self, job: Job) -> Answer:
        """Return the measurement of a finished job. Raises ProblemError: why there is none."""
        return read_answer(dumps(job.answer).encode(), job.options, self.logger)

    def unreachable(self, error: Exception) -> ProblemError:
        self.logger.error("the store of jobs failed", extra={"error": told(error)})
        detail = "The state of jobs cannot be reached at this time. Please try again in a moment."
        return ProblemError(ProblemCode.PROCESSOR_BUSY, detail)


def name_of(job_id: str) -> str:
    """Return the name of a job's record. The gateway's user of Redis may use names that begin so."""
    return f"intensity:job:{job_id}"


def may_go_better(job: Job) -> bool:
    """Return whether a job has failed for a reason that is not in the image."""
    if job.is_dead:
        return True
    problem = (job.answer or {}).get("problem")
    if not problem:
        return False
    code = ProblemCode(problem["code"])
    return code in PASSING or (PROBLEM_TYPES[code].status >= SERVER_ERROR and code is not ProblemCode.PROCESSOR_TIMEOUT)


def unknown() -> ProblemError:
    detail = "There is no such job, or it is older than a day. Send the ticket to POST /jobs again."
    return ProblemError(ProblemCode.NOT_FOUND, detail)


def lost() -> ProblemError:
    detail = "The worker of this job has ended without an answer. Send the ticket to POST /jobs again."
    return ProblemError(ProblemCode.PROCESSOR_FAILED, detail)
