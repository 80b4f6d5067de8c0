"""The function for jobs: what it writes into the record, when it is told to give up, and what does not fit."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from json import loads
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from contract.invocation import Invocation, StoredImage
from contract.jobs import SILENCE_SECONDS, Job
from contract.problems import ProblemError
from image_intensity import Options
from image_intensity.measuring import measure
from processor import job as job_module
from processor.job import Record, answer, lambda_handler
from processor.large import measure_large
from tests.local.measuring import black, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_dynamodb import DynamoDBClient

BUCKET, TABLE, NAME = "uploads-of-the-test", "jobs", "intensity:job:x"


class Context:
    """Lambda's context."""

    aws_request_id = "invocation"

    def __init__(self, seconds: float = 900, memory: int = 10_240) -> None:
        self.end, self.memory_limit_in_mb = time.monotonic() + seconds, str(memory)

    def get_remaining_time_in_millis(self) -> int:
        return int((self.end - time.monotonic()) * 1000)


class Table:
    """The table, with one job in it for an image that is in S3."""

    def __init__(self, client: DynamoDBClient) -> None:
        self.client = client

    def upload(self, image: bytes, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - those of a measurement
        boto3.client("s3").put_object(Bucket=BUCKET, Key="uploads/k", Body=image)
        digest = hashlib.sha256(image).hexdigest()
        stored = StoredImage(bucket=BUCKET, key="uploads/k", size=len(image), sha256=digest)
        job = Job.of("a.png", stored, Options(**options))
        self.keep(job)
        invocation = Invocation(image=stored, allowed_formats=("PNG", "JPEG"), max_pixels=10**9, options=job.options)
        return {
            **invocation.to_event(),
            "job": {"name": NAME, "record": loads(job.to_json())},
        }

    def keep(self, job: Job) -> None:
        item = {"name": {"S": NAME}, "content": {"S": job.to_json().decode()}, "expires": {"N": "9999999999"}}
        self.client.put_item(TableName=TABLE, Item=item)

    @property
    def job(self) -> Job:
        item = self.client.get_item(TableName=TABLE, Key={"name": {"S": NAME}})["Item"]
        assert int(item["expires"]["N"]) > time.time() + 80_000
        return Job.from_json(item["content"]["S"].encode())


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("JOB_TABLE", TABLE)
    monkeypatch.setattr("processor.job.BEAT_SECONDS", 0.02)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        client = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield Table(client)


def when_measuring(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Have something done in the middle of a measurement."""

    def measured(*arguments: Any) -> Any:  # noqa: ANN401 - those of measure_large
        do()
        return measure_large(*arguments)

    monkeypatch.setattr(job_module, "measure_large", measured)


def test_the_record_gets_the_answer(table: Table) -> None:
    lambda_handler(table.upload(picture(seed=3)[:-30]), Context())
    assert (table.job.answer or {})["problem"]["code"] == "corrupt_image"
    image = picture(seed=3)
    lambda_handler(table.upload(image, luma="mean"), Context())
    job = table.job
    assert (job.status, job.attempts, job.progress) == ("finished", 1, None)
    assert job.answer
    expected = measure(image, Options(luma="mean"))
    assert job.answer["measurement"]["average_intensity"] == expected.average_intensity
    assert job.answer["measurement"]["options"]["luma"] == "mean"


def test_a_table_that_fails_once_does_not_end_the_heartbeat(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    write, failures = Record.write, iter([ConnectionError()])

    def fails_once(record: Record, job: Job) -> None:
        # The first renewal: the worker has begun already.
        if record.job.attempts and (error := next(failures, None)):
            raise error
        write(record, job)

    monkeypatch.setattr(Record, "write", fails_once)
    seen: list[float] = []

    def wait() -> None:
        begun = table.job.until
        until = time.monotonic() + 10
        while table.job.until == begun and time.monotonic() < until:
            time.sleep(0.01)
        seen.append(table.job.until - begun)

    when_measuring(monkeypatch, wait)
    lambda_handler(table.upload(picture(seed=3)), Context())
    assert next(failures, "none is left") == "none is left"
    assert seen[0] > 0
    assert table.job.status == "finished"


def test_the_worker_says_that_it_lives_and_how_long_another_may_take_to_begin(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Job] = []

    def wait() -> None:
        first = table.job
        while (later := table.job).until <= first.until:
            time.sleep(0.01)
        seen.append(later)

    when_measuring(monkeypatch, wait)
    event = table.upload(picture(seed=3))
    for attempts in range(3):
        table.keep(replace(Job.from_dict(event["job"]["record"]), attempts=attempts))
        lambda_handler(event, Context())
    assert [job.status for job in seen] == ["running"] * 3
    assert [job.attempts for job in seen] == [1, 2, 3]
    left = [job.until - time.time() for job in seen]
    assert left[0] > SILENCE_SECONDS + 100
    assert left[2] <= SILENCE_SECONDS


def test_a_worker_that_crashes_leaves_the_record_to_the_next_one(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> None:
        raise MemoryError

    when_measuring(monkeypatch, crash)
    event = table.upload(picture(seed=3))
    with pytest.raises(MemoryError):
        lambda_handler(event, Context())
    assert (table.job.status, table.job.is_dead) == ("running", False)
    monkeypatch.setattr(job_module, "measure_large", measure_large)
    lambda_handler(event, Context())
    assert (table.job.status, table.job.attempts) == ("finished", 2)


def test_what_is_finished_is_not_measured_again(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    event = table.upload(picture(seed=3))
    lambda_handler(event, Context())
    before = table.job

    def fail() -> None:
        raise AssertionError

    when_measuring(monkeypatch, fail)
    lambda_handler(event, Context())
    assert table.job == before


def test_a_job_that_takes_too_long_is_given_up_and_stays_so(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait() -> None:
        while table.job.status != "finished":
            time.sleep(0.01)

    when_measuring(monkeypatch, wait)
    lambda_handler(table.upload(picture(seed=3)), Context(seconds=9))
    assert (table.job.answer or {})["problem"]["code"] == "processor_timeout"


def test_file_and_pixels_have_to_fit_into_memory() -> None:
    png = black(2000)
    invocation = Invocation(image=png, allowed_formats=("PNG",), max_pixels=10**9)
    needed = 4_000_000 + len(png)
    assert measure_large(invocation, needed + 100_000).pixel_count == 4_000_000
    with pytest.raises(ProblemError, match="too_many_pixels"):
        measure_large(invocation, needed - 1)


def test_a_jpeg_counts_twice() -> None:
    jpeg = picture((1000, 1000), "JPEG")
    decoded: list[int] = []
    measure(jpeg, reserve=decoded.append)
    invocation = Invocation(image=jpeg, allowed_formats=("JPEG",), max_pixels=10**9)
    needed = decoded[0] + 2 * len(jpeg)
    assert measure_large(invocation, needed).pixel_count == 1_000_000
    with pytest.raises(ProblemError, match="too_many_pixels"):
        measure_large(invocation, needed - 1)


def test_a_file_that_is_larger_than_memory_is_not_read() -> None:
    stored = StoredImage(bucket="b", key="k", size=1000, sha256="0" * 64)
    invocation = Invocation(image=stored, allowed_formats=("PNG",), max_pixels=10**9)
    with pytest.raises(ProblemError, match="file_too_large"):
        measure_large(invocation, 999)


@pytest.mark.parametrize(("memory", "code"), [(1024, None), (401, "too_many_pixels")])
def test_compose_gets_the_answer_within_the_memory_of_the_emulator(memory: int, code: str | None) -> None:
    event = Invocation(image=black(6000), allowed_formats=("PNG",), max_pixels=10**9).to_event()
    found = answer(event, Context(memory=memory))
    assert found.get("problem", {}).get("code") == code
    assert ("measurement" in found) == (code is None)
