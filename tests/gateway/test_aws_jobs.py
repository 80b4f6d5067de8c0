"""Jobs on AWS: their table, in moto's DynamoDB, and what Lambda's queue is given."""

from __future__ import annotations

import asyncio
import time
from json import loads
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from contract.invocation import Invocation, StoredImage
from contract.jobs import Job
from contract.problems import ProblemError
from gateway.log import make_logger
from gateway.measuring.aws_jobs import DynamoStore, LambdaQueue, make_jobs
from gateway.measuring.processor_client import make_lambda_client
from gateway.settings import Settings
from image_intensity import Luma, Options

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from types_boto3_dynamodb import DynamoDBClient

IMAGE = StoredImage(bucket="b", key="uploads/k", size=5, sha256="0" * 64)


@pytest.fixture
def table() -> Iterator[DynamoDBClient]:
    """A client for the table "jobs"."""
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="jobs",
            AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


@pytest.fixture
def store(table: DynamoDBClient) -> DynamoStore:
    return DynamoStore(table, "jobs")


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - any result
    return asyncio.run(coroutine)


def test_a_value_is_kept_until_it_expires(store: DynamoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(store.read("a")) == b""
    assert run(store.write("a", "ä".encode(), 60, replace=True))
    assert run(store.read("a")) == "ä".encode()
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert run(store.read("a")) == b""


def test_a_value_that_is_there_gives_way_only_to_one_that_replaces_it(
    store: DynamoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(store.write("a", b"1", 60, replace=False))
    assert not run(store.write("a", b"2", 60, replace=False))
    assert run(store.read("a")) == b"1"
    assert run(store.write("a", b"3", 60, replace=True))
    assert run(store.read("a")) == b"3"
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert run(store.write("a", b"4", 60, replace=False))
    assert run(store.read("a")) == b"4"


def test_other_errors_of_the_table_are_raised(table: DynamoDBClient) -> None:
    missing = DynamoStore(table, "another")
    for replace in (False, True):
        with pytest.raises(table.exceptions.ResourceNotFoundException):
            run(missing.write("a", b"1", 60, replace=replace))


@pytest.mark.parametrize("luma", ["bt601", "mean"])
def test_the_function_is_given_the_invocation_and_the_record(luma: Luma) -> None:
    client, options = make_lambda_client(), Options(luma=luma)
    invocation = Invocation(image=IMAGE, allowed_formats=("PNG",), max_pixels=9, options=options, request_id="the-id")
    job = Job.of("ä.png", IMAGE, options)
    sent: list[dict[str, Any]] = []
    client.meta.events.register("provide-client-params.lambda.Invoke", lambda params, **_: sent.append(params))
    with Stubber(client) as stub:
        expected = {"FunctionName": "f", "InvocationType": "Event", "Payload": ANY}
        stub.add_response("invoke", {"StatusCode": 202}, expected)
        run(LambdaQueue(client, "f", make_logger(Settings.load({}))).send("name", job, invocation))
    event = loads(sent[0]["Payload"])
    assert Invocation.from_event(event) == invocation
    assert event["job"]["name"] == "name"
    assert Job.from_dict(event["job"]["record"]) == job


def test_a_function_that_cannot_be_invoked_is_a_problem() -> None:
    client = make_lambda_client()
    with Stubber(client) as stub:
        stub.add_client_error("invoke", "AccessDeniedException", "secret")
        queue = LambdaQueue(client, "f", make_logger(Settings.load({})))
        invocation = Invocation(image=IMAGE, allowed_formats=("PNG",), max_pixels=9)
        with pytest.raises(ProblemError, match="processor_failed") as caught:
            run(queue.send("name", Job.of("a.png", IMAGE, Options()), invocation))
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize("missing", ["JOB_FUNCTION_NAME", "JOB_TABLE", "UPLOAD_BUCKET", ""])
def test_there_are_jobs_if_all_is_there_that_they_need(missing: str) -> None:
    variables = {"JOB_FUNCTION_NAME": "f", "JOB_TABLE": "t", "UPLOAD_BUCKET": "b"}
    settings = Settings.load({name: value for name, value in variables.items() if name != missing})
    jobs = make_jobs(settings, make_lambda_client(), make_logger(settings))
    assert (jobs is None) == bool(missing)
