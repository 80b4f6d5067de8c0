"""`make deploy` and its neighbours, on a local AWS; for the quotas of accounts, on botocore's stub."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.stub import Stubber

import brake
from deployment import deploy as deploying
from deployment import keys, neighbours, publish_page, rotate, teardown, uploads, versions
from deployment.account import check_concurrency, has_log_role, tell_of_the_first_distribution, zones_for_the_cache
from deployment.neighbours import delete_failed
from deployment.release import release
from deployment.stack import Deployment, describe, resources
from tests.aws.translation import REPOSITORY
from tests.support import missing
from tests.test_deployment import TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STACK = """
Resources:
  Uploads: {Type: AWS::S3::Bucket}
  Page: {Type: AWS::S3::Bucket}
  GatewayFunctionRole:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}}
  UploadsStopped:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Deny, Action: "s3:PutObject", Resource: "*"}]}
  UsagePlan: {Type: AWS::ApiGateway::UsagePlan}
  SecretKey: {Type: AWS::SecretsManager::Secret, Properties: {SecretString: first}}
Parameters:
  AlarmEmail: {Type: String, Default: ""}
  SiteFirewallArn: {Type: String, Default: ""}
  Release: {Type: String, Default: ""}
  Chosen: {Type: String, Default: AlarmEmail}
"""
SITE = """
Resources: {Bucket: {Type: AWS::S3::Bucket}}
Outputs:
  PageBucket: {Value: !Ref Bucket}
  PageDistribution: {Value: E1}
  PageUrl: {Value: "https://page.example.com"}
  ApiUrl: {Value: "https://abc.execute-api.eu-central-1.amazonaws.com/v1"}
"""
# What the fixture `commands` replaces.
IS_DEPLOYED = deploying.is_deployed


@pytest.fixture
def stack(aws: None) -> Iterator[str]:  # noqa: ARG001 - needed first
    """The deployment `default`, as far as the commands look at it."""
    name = Deployment.read("default", []).stack
    make(name)
    yield name
    boto3.client("cloudformation").delete_stack(StackName=name)


def make(stack: str) -> None:
    """Make a stack, and wait until it is there."""
    client = boto3.client("cloudformation")
    parameters: Any = [{"ParameterKey": "AlarmEmail", "ParameterValue": "a@example.com"}]
    client.create_stack(StackName=stack, TemplateBody=STACK, Parameters=parameters)
    client.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


def physical(stack: str, logical_id: str) -> str:
    detail = boto3.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
    return detail["StackResourceDetail"]["PhysicalResourceId"]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "GatewayFunction").mkdir()
    (tmp_path / "GatewayFunction/handler.py").write_text("code")
    (tmp_path / "template.yaml").write_text("template")
    return tmp_path


def test_the_same_code_and_parameters_are_the_same_release(build: Path) -> None:
    parameters = {"Cache": "on", "LogLevel": "INFO"}
    again = dict(reversed(parameters.items()))
    assert release(build, parameters) == release(build, {**again, "Release": "the one before"})


@pytest.mark.parametrize("file", ["GatewayFunction/handler.py", "template.yaml", "ContractLayer/new.py"])
def test_other_code_another_layer_or_template_is_another_release(build: Path, file: str) -> None:
    before = release(build, {})
    (build / file).parent.mkdir(exist_ok=True)
    (build / file).write_text("other")
    assert release(build, {}) != before


def test_another_parameter_is_another_release(build: Path) -> None:
    assert release(build, {"Cache": "on"}) != release(build, {"Cache": "off"})


def test_a_file_that_moves_is_another_release(build: Path) -> None:
    before = release(build, {})
    (build / "template.yaml").rename(build / "other.yaml")
    assert release(build, {}) != before


def check(total: int, unreserved: int, wanted: dict[str, int], own: int = 0) -> None:
    """Check an account with these quotas, in which this stack has reserved `own` so far."""
    client = boto3.client("lambda", region_name="eu-central-1")
    limits = {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": unreserved}
    with Stubber(client) as stub:
        stub.add_response("get_account_settings", {"AccountLimit": limits})
        if own:
            stub.add_response("get_function_concurrency", {"ReservedConcurrentExecutions": own})
        check_concurrency(client, "prod", wanted, ["function"] if own else [])


BOTH = {"ProcessorConcurrency": 10, "GatewayConcurrency": 10}


def test_an_account_with_the_usual_quota_can_reserve() -> None:
    check(1000, 1000, BOTH)
    check(120, 120, BOTH)


@pytest.mark.parametrize(("total", "unreserved"), [(10, 10), (50, 50), (119, 119), (1000, 110)])
def test_an_account_that_cannot_reserve_is_told_what_to_do(total: int, unreserved: int) -> None:
    with pytest.raises(SystemExit) as caught:
        check(total, unreserved, BOTH)
    sentence = str(caught.value)
    assert f"this account runs {total} functions at a time" in sentence
    assert "Service Quotas" in sentence
    # With all of the account's functions as gateways, there would be no processor.
    advice = "ProcessorConcurrency=-1 GatewayConcurrency=-1 RequestsPerSecond=2"
    assert f'make deploy ENV=prod PARAMETERS="{advice}"' in sentence


@pytest.mark.parametrize(("runs", "asked"), [("off", set()), ("on", {"RunsConcurrency"})])
def test_the_functions_of_runs_are_reserved_only_where_there_are_runs(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, runs: str, asked: set[str]
) -> None:
    wanted: list[dict[str, int]] = []
    monkeypatch.setattr(deploying, "check_concurrency", lambda _, __, bounds, ___: wanted.append(bounds))
    deploying.main("default", f"Runs={runs}")
    assert len(deployments(commands)) == 1
    assert wanted[0].keys() == {"ProcessorConcurrency", "GatewayConcurrency", "JobConcurrency"} | asked


def test_without_bounds_every_account_will_do() -> None:
    check(10, 10, {"ProcessorConcurrency": -1, "GatewayConcurrency": -1})


def test_what_the_stack_has_reserved_already_is_its_own() -> None:
    check(120, 100, BOTH, own=20)


def zones(*found: str) -> tuple[str, str]:
    client = boto3.client("ec2", region_name="eu-central-1")
    with Stubber(client) as stub:
        answer = {"ServiceDetails": [{"AvailabilityZones": list(found)}] if found else []}
        asked = {"Filters": [{"Name": "service-name", "Values": ["com.amazonaws.eu-central-1.elasticache"]}]}
        stub.add_response("describe_vpc_endpoint_services", answer, asked)
        return zones_for_the_cache(client, "prod", "eu-central-1")


def test_the_zones_of_the_cache_have_elasticache() -> None:
    assert zones("eu-central-1d", "eu-central-1b", "eu-central-1c") == ("eu-central-1b", "eu-central-1c")


@pytest.mark.parametrize("found", [["eu-central-1b"], []], ids=["one zone", "no service"])
def test_a_region_without_two_such_zones_is_told(found: list[str]) -> None:
    with pytest.raises(SystemExit, match='make deploy ENV=prod PARAMETERS="Cache=off"'):
        zones(*found)


@pytest.mark.parametrize("quantity", [0, 1])
def test_an_account_without_a_distribution_is_told_what_aws_may_say(
    quantity: int, capsys: pytest.CaptureFixture[str]
) -> None:
    client: Any = MagicMock()
    client.list_distributions.return_value = {"DistributionList": {"Quantity": quantity}}
    tell_of_the_first_distribution(client, "prod")
    told = capsys.readouterr().err
    assert ('make deploy ENV=prod PARAMETERS="Site=off"' in told) == (not quantity)


def test_whether_api_gateway_may_log_is_asked() -> None:
    client = boto3.client("apigateway", region_name="eu-central-1")
    with Stubber(client) as stub:
        stub.add_response("get_account", {"cloudwatchRoleArn": "arn:aws:iam::123456789012:role/logs"})
        assert has_log_role(client)
        stub.add_response("get_account", {})
        assert not has_log_role(client)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, build: Path, aws: None) -> list[list[str]]:  # noqa: ARG001 - needed first
    """The programs that a deployment starts, which are not started here."""
    started: list[list[str]] = []
    monkeypatch.setattr(deploying, "BUILD", build)
    for module in (deploying, neighbours):
        monkeypatch.setattr(module, "run", started.append)
        monkeypatch.setattr(module, "outputs", lambda *_: {"Arn": "arn:firewall", "Uri": "registry", **API})
        monkeypatch.setattr(module, "delete_failed", lambda *_: False)
    monkeypatch.setattr(deploying, "is_deployed", lambda *_: True)
    monkeypatch.setattr(deploying, "keep_two", lambda _: None)
    monkeypatch.setattr(deploying, "tell_of_the_first_distribution", lambda *_: None)
    monkeypatch.setattr(deploying, "publish", lambda _: "https://example.com")
    monkeypatch.setattr(deploying, "check_concurrency", lambda *_: None)
    monkeypatch.setattr(deploying, "zones_for_the_cache", lambda *_: ("eu-central-1b", "eu-central-1c"))
    monkeypatch.setattr(deploying, "has_log_role", lambda _: True)
    return started


API = {"ApiUrl": "https://abc.execute-api.eu-central-1.amazonaws.com/v1"}


def stacks(commands: list[list[str]]) -> list[str]:
    """The stacks that these programs make."""
    return [each[each.index("--stack-name") + 1] if "--stack-name" in each else "" for each in commands]


def deployments(commands: list[list[str]]) -> list[list[str]]:
    """Those of these programs that deploy the service."""
    return [each for each in commands if each[1] == "deploy"]


def parameters(command: list[str]) -> dict[str, str]:
    given = (each.split("=", 1) for each in command[command.index("--parameter-overrides") + 1 :])
    return {name: json.loads(value) for name, value in given}


DEFAULTS = {name: str(each["Default"]) for name, each in TEMPLATE["Parameters"].items()}


def test_a_deployment_has_all_parameters_those_of_samconfig_those_given_and_its_release(
    commands: list[list[str]],
) -> None:
    deploying.main("default", "MaxImagePixels=1", "LogRetentionDays=1")
    registry, command = commands
    assert registry[registry.index("--stack-name") + 1] == "image-intensity-dev-images"
    given = parameters(command)
    assert re.fullmatch("[0-9a-f]{64}", given.pop("Release"))
    own = {"LogRetentionDays": "1", "ProcessorConcurrency": "2", "GatewayConcurrency": "4", "MaxImagePixels": "1"}
    expected = DEFAULTS | own | {"Chosen": "LogRetentionDays,MaxImagePixels"}
    assert given == {name: value for name, value in expected.items() if name != "Release"}
    assert command[1:6] == ["deploy", "--config-env", "default", "--region", "eu-central-1"]
    assert command[command.index("--image-repository") + 1] == "registry"


def test_what_a_person_has_chosen_is_kept_and_counts_for_the_release(commands: list[list[str]], stack: str) -> None:
    assert describe(stack)
    deploying.main("default")
    boto3.client("cloudformation").delete_stack(StackName=stack)
    deploying.main("default")
    first, second = (parameters(command) for command in deployments(commands))
    assert (first["AlarmEmail"], first["Chosen"]) == ("a@example.com", "AlarmEmail")
    assert (second["AlarmEmail"], second["Chosen"]) == ("", "")
    assert first["Release"] != second["Release"]


def test_an_unchanged_second_deployment_is_the_same_release(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploying.main("default", "Cache=on")
    [first] = deployments(commands)
    monkeypatch.setattr(
        Deployment,
        "description",
        {
            "StackStatus": "CREATE_COMPLETE",
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value} for name, value in parameters(first).items()
            ],
        },
    )
    monkeypatch.setattr(deploying, "functions", lambda _: [])
    deploying.main("default")
    assert parameters(deployments(commands)[1]) == parameters(first)


def test_a_new_default_reaches_a_stack_that_exists_but_no_choice_of_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    present = {
        "RequestsPerSecond": "50",
        "PostsPerAddress": "1000",
        "Chosen": "PostsPerAddress",
        "SecretVersions": "1,2",
    }
    monkeypatch.setattr(Deployment, "present", present)
    next_ones = Deployment.read("prod", []).parameters
    assert next_ones["RequestsPerSecond"] == DEFAULTS["RequestsPerSecond"]
    assert (next_ones["PostsPerAddress"], next_ones["SecretVersions"]) == ("1000", "1,2")
    assert next_ones["SafeDeployment"] == "true"


def test_a_page_without_a_firewall_is_not_deployed(commands: list[list[str]]) -> None:
    with pytest.raises(SystemExit, match="900 USD a day"):
        deploying.main("default", "Site=on")
    assert commands == []


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, aws: None) -> Iterator[str]:  # noqa: ARG001 - needed first
    """The deployment `default`, of which the SAM CLI finds a small template as if it had built it."""
    if not (neighbours.TOOLS / "sam").exists():
        missing("the SAM CLI (make check installs it)")
    (tmp_path / ".aws-sam/build").mkdir(parents=True)
    (tmp_path / ".aws-sam/build/template.yaml").write_text(STACK)
    # The local AWS cannot make the bucket that SAM has for all its deployments.
    settings = (REPOSITORY / "samconfig.toml").read_text()
    (tmp_path / "samconfig.toml").write_text(settings.replace("resolve_s3 = true", 's3_bucket = "artifacts"'))
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="artifacts")
    monkeypatch.setattr(neighbours, "REPOSITORY", tmp_path)
    monkeypatch.setenv("SAM_CLI_TELEMETRY", "0")
    name = Deployment.read("default", []).stack
    yield name
    boto3.client("cloudformation").delete_stack(StackName=name)


def test_the_sam_cli_takes_parameters_as_they_were_chosen_also_empty_ones(built: str) -> None:
    chosen = {"AlarmEmail": "a@example.com", "Release": "1", "SiteFirewallArn": "", "Chosen": ","}
    deployment = Deployment("default", built, {}, {})
    deploying.deploy(deployment, chosen, "eu-central-1", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/images")
    assert deployment.present == chosen


@pytest.mark.usefixtures("stack")
def test_what_a_person_did_not_confirm_changes_no_page(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[str] = []
    monkeypatch.setattr(deploying, "publish", published.append)
    monkeypatch.setattr(deploying, "is_deployed", IS_DEPLOYED)
    with pytest.raises(SystemExit, match="not confirmed"):
        deploying.main("default")
    assert len(deployments(commands)) == 1
    assert published == []


@pytest.fixture
def production(aws: None) -> Iterator[str]:  # noqa: ARG001 - needed first
    """The deployment `prod`, likewise."""
    name = Deployment.read("prod", []).stack
    make(name)
    yield name
    client = boto3.client("cloudformation")
    client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    client.delete_stack(StackName=name)


def test_production_has_zones_a_firewall_for_cloudfront_and_protection(
    commands: list[list[str]], production: str
) -> None:
    deploying.main("prod", "AlarmEmail=a@example.com")
    firewall, images, command, watch = commands
    # Their names are those of the region: another one has stacks of its own beside them.
    east = {f"{production}-eu-central-1-firewall": firewall, f"{production}-eu-central-1-watch": watch}
    for name, each in east.items():
        assert each[each.index("--region") + 1] == "us-east-1"
        assert each[each.index("--stack-name") + 1] == name
    assert images[images.index("--stack-name") + 1] == f"{production}-images"
    assert {"Scope=CLOUDFRONT", "RequestsPerAddress=250", "PostsPerAddress=80"} <= set(firewall)
    assert {"Host=abc.execute-api.eu-central-1.amazonaws.com", "Path=/v1/health/ready", "DailyBudget=20"} <= set(watch)
    given = parameters(command)
    assert given["Zones"] == "eu-central-1b,eu-central-1c"
    assert given["SiteFirewallArn"] == "arn:firewall"
    assert given["DirectAccess"] == "off"
    assert describe(production)["EnableTerminationProtection"] is True


@pytest.mark.parametrize("end", ["declined", "failed"])
def test_a_deployment_that_comes_to_nothing_leaves_the_firewall_for_cloudfront_as_it_was(
    commands: list[list[str]], production: str, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    east = boto3.client("cloudformation", region_name="us-east-1")

    def run(command: list[str]) -> None:
        commands.append(command)
        if "Scope=CLOUDFRONT" in command and len(commands) == 1:
            topic = "Resources: {Topic: {Type: AWS::SNS::Topic}}"
            east.create_stack(StackName=f"{production}-eu-central-1-firewall", TemplateBody=topic)
        elif end == "failed" and command[1] == "deploy":
            raise SystemExit(1)

    monkeypatch.setattr(deploying, "run", run)
    monkeypatch.setattr(neighbours, "run", run)
    monkeypatch.setattr(deploying, "is_deployed", lambda *_: False)
    with pytest.raises(SystemExit, match="not confirmed" if end == "declined" else "1"):
        deploying.main("prod", "PostsPerAddress=20", "AlarmEmail=a@example.com")
    assert len(commands) == 3
    assert east.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"] == []
    # The deployment has one, with limits of its own.
    before = {"SiteFirewallArn": "arn:firewall", "PostsPerAddress": "60", "Chosen": "AlarmEmail"}
    monkeypatch.setattr(Deployment, "present", {"AlarmEmail": "a@example.com", **before})
    with pytest.raises(SystemExit):
        deploying.main("prod", "PostsPerAddress=20")
    changed, _, _, restored = commands[3:]
    assert "PostsPerAddress=20" in changed
    assert "PostsPerAddress=60" in restored
    assert [each for each in restored if "PostsPer" not in each] == [each for each in changed if "PostsPer" not in each]


@pytest.mark.parametrize(("status", "left"), [("UPDATE_IN_PROGRESS", 1), ("REVIEW_IN_PROGRESS", 0)])
def test_a_firewall_stays_while_a_stack_that_may_need_it_is_under_way(
    commands: list[list[str]], production: str, monkeypatch: pytest.MonkeyPatch, status: str, left: int
) -> None:
    east = boto3.client("cloudformation", region_name="us-east-1")
    east.create_stack(
        StackName=f"{production}-eu-central-1-firewall", TemplateBody="Resources: {Topic: {Type: AWS::SNS::Topic}}"
    )
    monkeypatch.setattr(Deployment, "description", {"StackStatus": status})
    monkeypatch.setattr(deploying, "is_deployed", lambda *_: False)
    with pytest.raises(SystemExit):
        deploying.main("prod", "AlarmEmail=a@example.com")
    assert len(commands) == 3
    assert len(east.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"]) == left
    east.delete_stack(StackName=f"{production}-eu-central-1-firewall")


EXPIRED = ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "DescribeStacks")


@pytest.mark.parametrize("error", [EXPIRED, NoCredentialsError()], ids=["expired", "no credentials"])
@pytest.mark.parametrize("environment", ["default", "prod"])
def test_a_firewall_that_cannot_be_put_back_is_told_and_hides_no_failure(
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: str,
    error: Exception,
) -> None:
    def run(command: list[str]) -> None:
        commands.append(command)
        if command[1] == "deploy":
            # From now on, AWS cannot be asked.
            monkeypatch.setattr(Deployment, "asked_again", MagicMock(side_effect=error))
            raise SystemExit(3)

    monkeypatch.setattr(deploying, "run", run)
    monkeypatch.setattr(neighbours, "run", run)
    with pytest.raises(SystemExit) as caught:
        deploying.main(environment, "AlarmEmail=a@example.com")
    assert caught.value.code == 3
    told = capsys.readouterr().err
    if environment == "prod":
        assert str(error) in told
        assert "costs by the month" in told
        assert "make teardown ENV=prod CONFIRM=image-intensity" in told
    else:
        assert told == ""


def test_a_firewall_whose_limits_cannot_be_put_back_is_told_too(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str]) -> None:
        commands.append(command)
        if len(commands) == 4:
            raise SystemExit(254)

    monkeypatch.setattr(deploying, "run", run)
    monkeypatch.setattr(neighbours, "run", run)
    monkeypatch.setattr(deploying, "is_deployed", lambda *_: False)
    monkeypatch.setattr(Deployment, "present", {"SiteFirewallArn": "arn:firewall"})
    with pytest.raises(SystemExit, match="not confirmed"):
        deploying.main("prod", "PostsPerAddress=20", "AlarmEmail=a@example.com")
    assert len(commands) == 4
    assert "could not be put back as it was\nIt stays, with the limits" in capsys.readouterr().err


def test_a_stack_that_waits_to_be_confirmed_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    release = {"ParameterKey": "Release", "ParameterValue": "1"}
    deployment = Deployment("prod", "image-intensity", {}, {})
    for status, expected in {"REVIEW_IN_PROGRESS": False, "CREATE_COMPLETE": True}.items():
        monkeypatch.setattr(Deployment, "description", {"StackStatus": status, "Parameters": [release]})
        assert deploying.is_deployed(deployment, "1") is expected


def test_the_firewall_for_cloudfront_goes_when_it_is_turned_off(commands: list[list[str]], production: str) -> None:
    east = boto3.client("cloudformation", region_name="us-east-1")
    east.create_stack(
        StackName=f"{production}-eu-central-1-firewall", TemplateBody="Resources: {Topic: {Type: AWS::SNS::Topic}}"
    )

    def left() -> int:
        return len(east.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"])

    # The present deployment has none, so this one is not its own.
    deploying.main("prod", "Site=off")
    assert left() == 1
    boto3.client("cloudformation").update_stack(
        StackName=production,
        UsePreviousTemplate=True,
        Parameters=[
            {"ParameterKey": "AlarmEmail", "UsePreviousValue": True},
            {"ParameterKey": "SiteFirewallArn", "ParameterValue": "arn:firewall"},
        ],
    )
    deploying.main("prod")
    assert left() == 1
    deploying.main("prod", "Site=off")
    assert left() == 0
    assert parameters(deployments(commands)[-1])["SiteFirewallArn"] == ""


@pytest.fixture
def site(aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:  # noqa: ARG001 - needed first
    """A stack with the page's bucket, and a page of two files. CloudFront and the API are only asked."""
    name, asked = "site", boto3.client
    asked("cloudformation").create_stack(StackName=name, TemplateBody=SITE)
    asked("cloudformation").get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    others = MagicMock()
    monkeypatch.setattr(
        boto3, "client", lambda service: others if service in {"cloudfront", "apigateway"} else asked(service)
    )
    monkeypatch.setattr(publish_page, "PAGE", tmp_path)
    (tmp_path / "samples").mkdir()
    for file in ("index.html", "samples/new.png"):
        (tmp_path / file).write_bytes(b"new")
    yield physical(name, "Bucket")
    asked("cloudformation").delete_stack(StackName=name)


def test_what_is_published_is_the_page_and_nothing_of_the_one_before(site: str) -> None:
    s3 = boto3.client("s3")
    for key in ("index.html", "samples/old.png", "old.js"):
        s3.put_object(Bucket=site, Key=key, Body=b"old")
    assert publish_page.publish("site") == "https://page.example.com"
    found = {each["Key"]: each["Size"] for each in s3.list_objects_v2(Bucket=site)["Contents"]}
    assert found == {"index.html": 3, "samples/new.png": 3}
    assert s3.get_object(Bucket=site, Key="index.html")["Body"].read() == b"new"
    teardown.empty(site)


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_stack_that_could_not_be_made_is_deleted_before_the_next_try(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    deleted = status == "ROLLBACK_COMPLETE"
    client = MagicMock()
    monkeypatch.setattr(neighbours, "describe", lambda *_: {"StackStatus": status})
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    assert delete_failed("stack", "eu-central-1") is deleted
    assert client.delete_stack.called is deleted


def test_a_stack_that_is_not_there_has_not_failed(aws: None) -> None:  # noqa: ARG001 - needed first
    assert delete_failed("not-there", "eu-central-1") is False


def test_two_versions_stay_and_what_an_alias_names() -> None:
    client: Any = MagicMock()
    listed = [{"Version": each} for each in ("$LATEST", "9", "10", "11", "12", "13")]
    client.get_paginator.return_value.paginate.return_value = [{"Versions": listed[:3]}, {"Versions": listed[3:]}]
    routing = {"AdditionalVersionWeights": {"10": 0.1}}
    client.list_aliases.return_value = {"Aliases": [{"FunctionVersion": "9", "RoutingConfig": routing}]}
    assert versions.too_old(client, "function") == ["11"]


def test_what_a_stack_lists_though_it_is_gone_is_none_of_its_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    def summary(logical_id: str, status: str) -> dict[str, Any]:
        kind = {"ResourceType": "AWS::IAM::Role", "LastUpdatedTimestamp": datetime.now(UTC)}
        return {"LogicalResourceId": logical_id, "PhysicalResourceId": "role", "ResourceStatus": status, **kind}

    client = boto3.client("cloudformation", region_name="eu-central-1")
    monkeypatch.setattr(boto3, "client", lambda _: client)
    with Stubber(client) as stub:
        listed = [summary("GatewayRole", "DELETE_COMPLETE"), summary("JobRole", "DELETE_FAILED")]
        stub.add_response("list_stack_resources", {"StackResourceSummaries": listed})
        assert list(resources("stack")) == [("JobRole", "AWS::IAM::Role", "role")]


def test_production_without_an_address_for_alarms_is_not_deployed(commands: list[list[str]]) -> None:
    with pytest.raises(SystemExit, match=r"AlarmEmail=you@example\.com"):
        deploying.main("prod")
    assert commands == []


def test_the_role_for_logs_is_made_once(commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploying, "has_log_role", lambda _: False)
    deploying.main("default")
    assert stacks(commands)[0] == "api-gateway-logs"
    assert commands[0][commands[0].index("--template-file") + 1].endswith("infra/account.yaml")
    commands.clear()
    deploying.main("default", "Monitoring=off")
    assert "api-gateway-logs" not in stacks(commands)


def test_a_deployment_without_a_region_says_so(commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(SystemExit, match="AWS_REGION"):
        deploying.main("default")
    assert commands == []


@pytest.mark.parametrize(
    ("environment", "given", "sentence"),
    [("test", [], "prod"), ("default", ["x"], "Name=Value"), ("default", ["Acces=keys"], "no parameter Acces in")],
)
def test_a_deployment_or_parameter_that_is_none_is_a_sentence(
    environment: str, given: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit, match=sentence):
        Deployment.read(environment, given)


def test_every_parameter_in_samconfig_is_one_of_the_template() -> None:
    configured = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
    for environment in ("default", "prod"):
        assert Deployment.read(environment, []).configured.keys() <= TEMPLATE["Parameters"].keys()
        assert "environment=" in configured[environment]["deploy"]["parameters"]["tags"]


def test_only_targets_that_ask_no_aws_have_a_region_of_the_makefiles() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    [targets] = re.findall(r"^(.*)export AWS_DEFAULT_REGION \?=", makefile, re.MULTILINE)
    assert set(targets.rstrip(": ").split()) == {"check", "test", "bench", "build", "e2e"}


def test_a_teardown_empties_the_buckets_and_ends_protection(stack: str) -> None:
    s3, cloudformation = boto3.client("s3"), boto3.client("cloudformation")
    cloudformation.update_termination_protection(StackName=stack, EnableTerminationProtection=True)
    bucket, role = physical(stack, "Uploads"), physical(stack, uploads.ROLE)
    for number in range(1001):
        s3.put_object(Bucket=bucket, Key=f"uploads/{number}", Body=b"")
    iam = boto3.client("iam")
    iam.attach_role_policy(RoleName=role, PolicyArn=physical(stack, uploads.POLICY))
    teardown.prepare(stack)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    assert describe(stack)["EnableTerminationProtection"] is False


def test_a_teardown_ends_the_api_keys(stack: str) -> None:
    client = boto3.client("apigateway")
    plan = physical(stack, "UsagePlan")
    of_stack = keys.Keys(client, plan, f"{stack}-")
    of_stack.make("alice")
    of_stack.make("bob")
    for _ in range(2):
        by_hand = client.create_api_key(name="by hand")["id"]
        client.create_usage_plan_key(usagePlanId=plan, keyId=by_hand, keyType="API_KEY")
    client.create_api_key(name="of something else")
    assert len(list(of_stack)) == 4
    teardown.prepare(stack)
    assert list(of_stack) == []
    assert [key["name"] for key in client.get_api_keys()["items"]] == ["of something else"]


def test_a_bucket_that_is_gone_is_empty(aws: None) -> None:  # noqa: ARG001 - needed first
    teardown.empty("not-there")


def test_a_teardown_of_production_wants_the_name_of_its_stack(aws: None) -> None:  # noqa: ARG001 - needed first
    with pytest.raises(SystemExit, match="CONFIRM=image-intensity"):
        teardown.main("prod", "yes")


def test_a_teardown_deletes_the_stack_and_its_firewall(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(teardown, "run", commands.append)
    monkeypatch.setattr(neighbours, "run", commands.append)
    east = boto3.client("cloudformation", region_name="us-east-1")
    east.create_stack(
        StackName=f"{stack}-eu-central-1-firewall", TemplateBody="Resources: {Topic: {Type: AWS::SNS::Topic}}"
    )
    teardown.main("default")
    [command] = commands
    assert command[1:] == ["delete", "--stack-name", stack, "--region", "eu-central-1", "--no-prompts"]
    assert east.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"] == []


def test_a_rotation_makes_a_new_secret_and_deploys_its_version(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed: list[tuple[str, ...]] = []
    monkeypatch.setattr(rotate, "deploy", lambda *arguments: deployed.append(arguments))
    rotate.main("default", "ProcessorConcurrency=-1")
    [(environment, kept, given)] = deployed
    client = boto3.client("secretsmanager")
    version = given.removeprefix("SecretVersions=").removesuffix(",first")
    secret = client.get_secret_value(SecretId=physical(stack, "SecretKey"), VersionId=version)["SecretString"]
    assert (environment, kept) == ("default", "ProcessorConcurrency=-1")
    assert secret != "first"
    assert len(secret) >= 64


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("command", [keys, rotate, uploads])
def test_what_is_not_deployed_is_a_sentence(command: Any) -> None:  # noqa: ANN401 - a module
    with pytest.raises(SystemExit, match="image-intensity-dev is not deployed here"):
        command.main("default")


def test_nothing_is_there_of_a_deployment_that_nobody_has_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployment.stack.describe", lambda _: {"StackStatus": "REVIEW_IN_PROGRESS"})
    monkeypatch.setattr("deployment.stack.resources", lambda _: iter(()))
    with pytest.raises(SystemExit, match="image-intensity-dev is not deployed here"):
        Deployment.read("default", []).name_of("SecretKey")


def test_the_brake_stops_uploads_and_lets_go_by_itself_or_by_a_person(
    stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role, policy = physical(stack, uploads.ROLE), physical(stack, uploads.POLICY)
    monkeypatch.setenv("GATEWAY_ROLE", role)
    monkeypatch.setenv("POLICY", policy)
    iam = boto3.client("iam")

    def pull(state: str) -> list[Any]:
        for _ in range(2):
            brake.lambda_handler({"alarmData": {"state": {"value": state}}}, None)
        return iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]

    assert [each["PolicyArn"] for each in pull("ALARM")] == [policy]
    assert pull("OK") == []
    pull("ALARM")
    for _ in range(2):
        uploads.main("default")
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
