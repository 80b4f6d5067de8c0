"""`make key`: API keys are made, listed and ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from deployment.keys import main, make, of_plan

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


def deploy(**outputs: str) -> None:
    """Make the stack of a deployment with these outputs."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(template))


@pytest.fixture
def plan(client: APIGatewayClient) -> str:
    """A deployment with a usage plan."""
    made = client.create_usage_plan(name="plan")["id"]
    deploy(UsagePlan=made)
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
    values = [make(client, plan, f"{STACK}-{name}") for name in ("alice", "bob")]
    main("default")
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines()] == [
        [key, name.removeprefix(f"{STACK}-")] for key, name in of_plan(client, plan).items()
    ]
    assert not any(value in printed for value in values)


def test_a_key_that_is_ended_is_gone(client: APIGatewayClient, plan: str) -> None:
    main("default", "alice")
    main("default", "bob")
    main("default", "alice", "end")
    assert list(of_plan(client, plan).values()) == [f"{STACK}-bob"]
    assert [key["name"] for key in client.get_api_keys()["items"]] == [f"{STACK}-bob"]


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["alice"], r"alice already\. To end it: make key ENV=default NAME=alice END=1"),
        (["carol", "end"], "There is no key carol"),
        *(([name], "The name of a key") for name in ("two words", "a/b", "x" * 65, "ä")),
    ],
)
def test_a_name_that_is_taken_unknown_or_makes_trouble_is_a_sentence(
    client: APIGatewayClient, arguments: list[str], sentence: str
) -> None:
    main("default", "alice")
    with pytest.raises(SystemExit, match=sentence):
        main("default", *arguments)
    assert [key["name"] for key in client.get_api_keys()["items"]] == [f"{STACK}-alice"]


def test_a_key_that_finds_no_plan_is_taken_back(client: APIGatewayClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: str) -> None:
        raise ClientError({"Error": {"Code": "NotFoundException"}}, "CreateUsagePlanKey")

    # moto knows no such error.
    monkeypatch.setattr(client, "create_usage_plan_key", fail)
    with pytest.raises(ClientError):
        make(client, "gone", "alice")
    assert client.get_api_keys()["items"] == []


@pytest.mark.usefixtures("client")
def test_a_deployment_without_keys_says_how_to_want_them() -> None:
    deploy(ApiUrl="https://example.com")
    with pytest.raises(SystemExit, match='make deploy ENV=default PARAMETERS="Access=keys"'):
        main("default", "alice")
