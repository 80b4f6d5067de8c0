"""The template and the code of jobs agree: retries, ages, times, rights; and without jobs, nothing of them is there."""

from __future__ import annotations

from typing import Any

import pytest

from contract.jobs import QUEUED_SECONDS
from local_server.processor import JOB_READ_SECONDS, JOB_SECONDS
from processor.job import RETRIES
from tests.aws.translation import deployed
from tests.test_deployment import COMPOSE

PARTS = {"JobFunction", "JobFunctionRole", "JobTable", "JobsLost", "JobFunctionEventInvokeConfig"}
Resources = dict[str, dict[str, Any]]


@pytest.fixture
def on() -> Resources:
    """The resources with jobs."""
    return deployed(JobConcurrency="1")


def test_lambda_tries_as_often_and_waits_as_long_as_the_record_says(on: Resources) -> None:
    policy = on["JobFunctionEventInvokeConfig"]["Properties"]
    assert policy["MaximumRetryAttempts"] + 1 == RETRIES[0]
    assert policy["MaximumEventAgeInSeconds"] == QUEUED_SECONDS
    assert policy["DestinationConfig"]["OnFailure"] == {"Destination": {"Fn::GetAtt": ["JobsLost", "Arn"]}}


def test_a_job_has_the_same_time_everywhere(on: Resources) -> None:
    here = COMPOSE["services"]["processor-jobs"]["environment"]["AWS_LAMBDA_FUNCTION_TIMEOUT"]
    assert {on["JobFunction"]["Properties"]["Timeout"], here, JOB_SECONDS} == {900}
    # The emulator ends an invocation before the gateway stops waiting.
    assert here < JOB_READ_SECONDS


def statements(on: Resources, role: str) -> list[dict[str, Any]]:
    """The statements of a role, also those that depend on a condition."""
    every = [each for policy in on[role]["Properties"]["Policies"] for each in policy["PolicyDocument"]["Statement"]]
    return [each["Fn::If"][1] if "Fn::If" in each else each for each in every]


def test_gateway_and_worker_may_read_and_write_the_records_and_no_more(on: Resources) -> None:
    for role in ("GatewayFunctionRole", "JobFunctionRole"):
        [rights] = [each for each in statements(on, role) if "dynamodb" in str(each)]
        assert rights["Action"] == ["dynamodb:GetItem", "dynamodb:PutItem"]
        assert rights["Resource"] == {"Fn::GetAtt": ["JobTable", "Arn"]}


def test_a_record_expires_and_costs_nothing_while_there_is_none(on: Resources) -> None:
    table = on["JobTable"]["Properties"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_without_jobs_nothing_of_them_is_made(on: Resources) -> None:
    assert {on[name]["Condition"] for name in PARTS} == {"JobsOn"}
    variables = on["GatewayFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["JOB_TABLE"] == {"Fn::If": ["JobsOn", {"Ref": "JobTable"}, ""]}
    assert variables["JOB_FUNCTION_NAME"] == {"Fn::If": ["JobsOn", {"Ref": "JobFunction"}, ""]}
