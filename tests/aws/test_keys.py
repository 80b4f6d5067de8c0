"""`make key`: API keys are made, listed and ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from deployment.keys import Keys, main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_apigateway import APIGatewayClient

STACK = "image-intensity-dev"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[APIGatewayClient]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield boto3.client("apigateway")


def stack(outputs: dict[str, str]) -> None:
    """A deployment with these outputs."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()} or {"Nothing": {"Value": "0"}},
    }
    boto3.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(template))


@pytest.fixture
def plan(client: APIGatewayClient) -> str:
    """A deployment with a usage plan."""
    made = client.create_usage_plan(name="plan")["id"]
    stack({"UsagePlan": made})
    return made


def test_a_key_is_made_in_the_usage_plan_and_printed_alone(
    client: APIGatewayClient, plan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main("default", "alice")
    printed = capsys.readouterr()
    [key] = client.get_usage_plan_keys(usagePlanId=plan)["items"]
    made = client.get_api_key(apiKey=key["id"], includeValue=True)
    assert (made["name"], made["enabled"]) == (f"{STACK}-alice", True)
    assert printed.out == f"{made['value']}\n"
    assert len(made["value"]) >= 20
    assert "alice" in printed.err


def test_the_list_has_names_and_ids_and_no_key(
    client: APIGatewayClient, plan: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = [Keys(client, plan, f"{STACK}-").make(name) for name in ("alice", "bob")]
    main("default")
    printed = capsys.readouterr().out
    assert [line.split()[1] for line in printed.splitlines()] == ["alice", "bob"]
    assert not any(value in printed for value in values)


def test_a_key_that_is_ended_is_gone(client: APIGatewayClient, plan: str) -> None:
    main("default", "alice")
    main("default", "bob")
    main("default", "alice", "end")
    assert [key.name for key in Keys(client, plan, f"{STACK}-")] == ["bob"]
    assert [key["name"] for key in client.get_api_keys()["items"]] == [f"{STACK}-bob"]


def test_a_name_is_given_once(client: APIGatewayClient, plan: str) -> None:
    main("default", "alice")
    with pytest.raises(SystemExit, match=r"alice already\. To end it: make key ENV=default NAME=alice END=1"):
        main("default", "alice")
    assert [key.name for key in Keys(client, plan, f"{STACK}-")] == ["alice"]


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("name", ["two words", "a/b", "x" * 65, "ä"])
def test_a_name_that_makes_trouble_is_refused(client: APIGatewayClient, name: str) -> None:
    with pytest.raises(SystemExit, match="The name of a key"):
        main("default", name)
    assert client.get_api_keys()["items"] == []


@pytest.mark.usefixtures("plan")
def test_a_key_that_does_not_exist_cannot_be_ended() -> None:
    with pytest.raises(SystemExit, match="There is no key carol"):
        main("default", "carol", "end")


def test_a_key_that_finds_no_plan_is_taken_back(client: APIGatewayClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: str) -> None:
        raise ClientError({"Error": {"Code": "NotFoundException"}}, "CreateUsagePlanKey")

    # moto knows no such error.
    monkeypatch.setattr(client, "create_usage_plan_key", fail)
    with pytest.raises(ClientError):
        Keys(client, "gone", "").make("alice")
    assert client.get_api_keys()["items"] == []


@pytest.mark.usefixtures("client")
def test_a_deployment_without_keys_says_how_to_want_them() -> None:
    stack({})
    with pytest.raises(SystemExit, match='make deploy ENV=default PARAMETERS="Access=keys"'):
        main("default", "alice")
