"""The Lambda entry point for jobs: it measures one image, and renews the record of its job in a table of DynamoDB.

Lambda invokes it asynchronously, and again when it dies, up to twice. It may also invoke it twice for no reason.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from contract.invocation import Invocation, measurement_answer, problem_answer
from contract.jobs import BEAT_SECONDS, KEPT_SECONDS, Job, Progress
from contract.problems import ProblemCode, ProblemError
from processor.handler import decode, log
from processor.large import measure_large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_dynamodb import DynamoDBClient

TABLE = "JOB_TABLE"
# Attempts, and seconds to the next: Lambda waits one minute, then two, and a function needs a moment to start.
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
RETRIES = 3, 180
# What is not there for an image: Python, NumPy, the decoders and botocore, and what glibc keeps (measured: 0.2 GB).
OTHER_BYTES = 400_000_000
# The job is given up so long before Lambda would end the function.
LAST_SECONDS = 10
LATE = problem_answer(ProblemError(ProblemCode.PROCESSOR_TIMEOUT))


class Context(Protocol):
    """What this uses of Lambda's context."""

    aws_request_id: str
    memory_limit_in_mb: str

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""


class Record:
    """The record of a job in the table, which this worker renews."""

    def __init__(self, name: str, job: Job) -> None:
        """Renew the record `name`. job: as it was when the job was begun."""
        self.client, self.table, self.name, self.job = make_client(), os.environ[TABLE], name, job
        self.progress = Progress(step="reading", share=0.0)
        # The worker and its heartbeat write, and what is finished stays so.
        self.lock = threading.Lock()

    def read(self) -> None:
        """Read the record as it is now. Raises botocore's errors."""
        answer = self.client.get_item(TableName=self.table, Key={"name": {"S": self.name}}, ConsistentRead=True)
        if "Item" in answer:
            self.job = Job.from_json(answer["Item"]["content"]["S"].encode())

    def write(self, job: Job) -> None:
        """Write the record, unless it is finished. Raises botocore's errors."""
        with self.lock:
            if self.job.status == "finished":
                return
            expires = int(time.time()) + KEPT_SECONDS
            item = {"name": {"S": self.name}, "content": {"S": job.to_json().decode()}, "expires": {"N": str(expires)}}
            self.client.put_item(TableName=self.table, Item=item)
            self.job = job

    @contextmanager
    def beating(self, context: Context) -> Iterator[None]:
        """Say every few seconds that this worker lives, until the block ends; and give up when its time is over."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(BEAT_SECONDS):
                over = context.get_remaining_time_in_millis() < LAST_SECONDS * 1000
                try:
                    self.write(self.job.finished(LATE) if over else self.job.alive(self.progress, *RETRIES))
                except Exception as error:  # noqa: BLE001 - the next beat tries again
                    log("WARNING", "the record was not renewed", {"error": type(error).__name__})
                    continue
                if over:
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def lambda_handler(event: dict[str, Any], context: Context) -> None:
    """Measure the image of a job, and write its answer into its record.

    Raises whatever storage and decoders raise: Lambda tries again.
    """
    log_begin(event, context)
    record = Record(event["job"]["name"], Job.from_dict(event["job"]["record"]))
    record.read()
    if record.job.status == "finished":
        return
    record.write(record.job.taken(*RETRIES))

    def read(share: float) -> None:
        record.progress = Progress(step="reading" if share < 1 else "measuring", share=share)

    with record.beating(context):
        result = measured(event, context, read)
    record.write(record.job.finished(result))


def answer(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Return the answer to a job, and keep no record: in Compose, the gateway does that."""
    log_begin(event, context)
    return measured(event, context)


def log_begin(event: dict[str, Any], context: Context) -> None:
    log("INFO", "job", {"request_id": event.get("request_id", ""), "invocation_id": context.aws_request_id})


def measured(
    event: dict[str, Any], context: Context, progress: Callable[[float], None] | None = None
) -> dict[str, Any]:
    memory = (int(context.memory_limit_in_mb) << 20) - OTHER_BYTES
    try:
        return measurement_answer(measure_large(Invocation.from_event(event, decode), memory, progress))
    except ProblemError as problem:
        return problem_answer(problem)


def make_client() -> DynamoDBClient:
    """Return a client for DynamoDB, or for what AWS_ENDPOINT_URL_DYNAMODB names instead."""
    from botocore.session import Session  # noqa: PLC0415 - as for S3

    return cast("DynamoDBClient", Session().create_client("dynamodb"))
