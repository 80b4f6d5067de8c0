"""`make deploy` and its neighbours, on a local AWS; for the quotas of accounts, on botocore's stub."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.stub import Stubber

import brake
from deployment import deploy as deploying
from deployment import keys, neighbours, publish_page, rotate, teardown, uploads
from deployment.account import check_concurrency, has_log_role, tell_of_the_first_distribution, zones_for_the_cache
from deployment.neighbours import Neighbours, delete_failed
from deployment.release import release, too_old
from deployment.stack import Deployment, defaults, describe, resources
from tests.aws.translation import REPOSITORY
from tests.support import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
TOPIC = "Resources: {Topic: {Type: AWS::SNS::Topic}}"


@pytest.fixture
def stack(aws: None) -> Iterator[str]:  # noqa: ARG001 - needed first
    """The deployment `default`, as far as the commands look at it."""
    name = Deployment.read("default").stack
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


def test_the_same_code_and_parameters_are_the_same_release_and_all_others_another(build: Path) -> None:
    before = release(build, {"Cache": "on", "LogLevel": "INFO"})
    assert release(build, {"LogLevel": "INFO", "Cache": "on", "Release": "the one before"}) == before
    releases = [before, release(build, {"Cache": "off", "LogLevel": "INFO"})]
    for file in ("GatewayFunction/handler.py", "template.yaml", "ContractLayer/new.py"):
        (build / file).parent.mkdir(exist_ok=True)
        (build / file).write_text("other")
        releases.append(release(build, {"Cache": "on", "LogLevel": "INFO"}))
    (build / "template.yaml").rename(build / "other.yaml")
    releases.append(release(build, {"Cache": "on", "LogLevel": "INFO"}))
    assert len(set(releases)) == 6


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


@pytest.mark.parametrize(
    ("total", "unreserved", "wanted", "own"),
    [(1000, 1000, BOTH, 0), (120, 120, BOTH, 0), (120, 100, BOTH, 20), (10, 10, dict.fromkeys(BOTH, -1), 0)],
    ids=["usual", "just enough", "reserved by this stack already", "without bounds"],
)
def test_an_account_that_can_reserve_what_is_wanted_passes(
    total: int, unreserved: int, wanted: dict[str, int], own: int
) -> None:
    check(total, unreserved, wanted, own)


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
    client: Any = MagicMock()
    client.get_account.side_effect = [{"cloudwatchRoleArn": "arn:aws:iam::123456789012:role/logs"}, {}]
    assert has_log_role(client)
    assert not has_log_role(client)


@dataclass
class Programs:
    """The programs that a deployment starts, which are not started here."""

    started: list[list[str]] = field(default_factory=list)
    # What happens instead of one of them, by its number, and its exit status.
    instead: dict[int, Callable[[], int]] = field(default_factory=dict)

    def run(self, command: list[str], **_: object) -> SimpleNamespace:
        self.started.append(command)
        return SimpleNamespace(returncode=self.instead.get(len(self.started), int)())

    @property
    def stacks(self) -> list[str]:
        """The stacks that they make, but the one of the service, of which samconfig.toml has the name."""
        return [each[each.index("--stack-name") + 1] for each in self.started if "--stack-name" in each]

    @property
    def parameters(self) -> list[dict[str, str]]:
        """The parameters of each deployment of the service."""
        given = [each[each.index("--parameter-overrides") + 1 :] for each in self.started if each[1] == "deploy"]
        return [{name: json.loads(value) for name, value in (pair.split("=", 1) for pair in each)} for each in given]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, build: Path, aws: None) -> Programs:  # noqa: ARG001 - needed first
    programs = Programs()
    monkeypatch.setattr(subprocess, "run", programs.run)
    monkeypatch.setattr(deploying, "BUILD", build)
    for module in (deploying, neighbours):
        monkeypatch.setattr(module, "outputs", lambda *_: {"Arn": "arn:firewall", "Uri": "registry", **API})
        monkeypatch.setattr(module, "delete_failed", lambda *_: None)
    for name, result in {
        "is_deployed": True,
        "keep_two": None,
        "tell_of_the_first_distribution": None,
        "publish": "https://example.com",
        "check_concurrency": None,
        "zones_for_the_cache": ("eu-central-1b", "eu-central-1c"),
        "has_log_role": True,
    }.items():
        monkeypatch.setattr(deploying, name, MagicMock(return_value=result))
    return programs


API = {"ApiUrl": "https://abc.execute-api.eu-central-1.amazonaws.com/v1"}
DEFAULTS = defaults()


def test_a_deployment_has_all_parameters_those_of_samconfig_those_given_and_its_release(programs: Programs) -> None:
    deploying.main("default", "MaxImagePixels=1", "LogRetentionDays=1")
    _, command = programs.started
    assert programs.stacks == ["image-intensity-dev-images"]
    [given] = programs.parameters
    assert re.fullmatch("[0-9a-f]{64}", given["Release"])
    own = {"LogRetentionDays": "1", "ProcessorConcurrency": "2", "GatewayConcurrency": "4", "MaxImagePixels": "1"}
    assert given == DEFAULTS | own | {"Chosen": "LogRetentionDays,MaxImagePixels", "Release": given["Release"]}
    assert command[1:6] == ["deploy", "--config-env", "default", "--region", "eu-central-1"]
    assert command[command.index("--image-repository") + 1] == "registry"


@pytest.mark.parametrize(("runs", "asked"), [("off", set()), ("on", {"RunsConcurrency"})])
def test_the_functions_of_runs_are_reserved_only_where_there_are_runs(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, runs: str, asked: set[str]
) -> None:
    wanted: list[dict[str, int]] = []
    monkeypatch.setattr(deploying, "check_concurrency", lambda _, __, bounds, ___: wanted.append(bounds))
    deploying.main("default", f"Runs={runs}")
    assert len(programs.parameters) == 1
    assert wanted[0].keys() == {"ProcessorConcurrency", "GatewayConcurrency", "JobConcurrency"} | asked


def test_what_a_person_has_chosen_is_kept_and_counts_for_the_release(programs: Programs, stack: str) -> None:
    deploying.main("default")
    boto3.client("cloudformation").delete_stack(StackName=stack)
    deploying.main("default")
    first, second = programs.parameters
    assert (first["AlarmEmail"], first["Chosen"]) == ("a@example.com", "AlarmEmail")
    assert (second["AlarmEmail"], second["Chosen"]) == ("", "")
    assert first["Release"] != second["Release"]


def test_an_unchanged_second_deployment_is_the_same_release(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploying.main("default", "Cache=on")
    monkeypatch.setattr(Deployment, "present", programs.parameters[0])
    deploying.main("default")
    first, second = programs.parameters
    assert second == first


def test_a_new_default_reaches_a_stack_that_exists_but_no_choice_of_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"PostsPerAddress": "1000", "Chosen": "PostsPerAddress", "SecretVersions": "1,2"}
    monkeypatch.setattr(Deployment, "present", {"RequestsPerSecond": "50", **chosen})
    next_ones = Deployment.read("prod").parameters
    assert next_ones["RequestsPerSecond"] == DEFAULTS["RequestsPerSecond"]
    assert (next_ones["PostsPerAddress"], next_ones["SecretVersions"]) == ("1000", "1,2")
    assert next_ones["SafeDeployment"] == "true"


@pytest.mark.parametrize(
    ("environment", "given", "sentence"),
    [
        ("default", ["Site=on"], "900 USD a day"),
        ("prod", [], r"AlarmEmail=you@example\.com"),
        ("test", [], "There is no deployment test in samconfig.toml. There are: default, prod."),
        ("default", ["x"], "Name=Value"),
        ("default", ["Acces=keys"], "no parameter Acces in"),
    ],
)
def test_what_cannot_be_deployed_is_a_sentence(
    programs: Programs, environment: str, given: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit, match=sentence):
        deploying.main(environment, *given)
    assert programs.started == []


def test_a_deployment_without_a_region_says_so(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(SystemExit, match="AWS_REGION"):
        deploying.main("default")
    assert programs.started == []


def test_the_sam_cli_takes_parameters_as_they_were_chosen_also_empty_ones(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    aws: None,  # noqa: ARG001 - needed first
) -> None:
    """The SAM CLI finds a small template as if it had built it."""
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
    registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/images"
    monkeypatch.setattr(Neighbours, "make_registry", lambda _: registry)
    deployment = Deployment.read("default")
    chosen = {"AlarmEmail": "a@example.com", "Release": "1", "SiteFirewallArn": "", "Chosen": ","}
    deploying.deploy(deployment, chosen, Neighbours(deployment.stack, "eu-central-1"))
    assert deployment.present == chosen
    boto3.client("cloudformation").delete_stack(StackName=deployment.stack)


@pytest.mark.parametrize(
    ("status", "released", "expected"),
    [("REVIEW_IN_PROGRESS", "1", False), ("CREATE_COMPLETE", "1", True), ("UPDATE_COMPLETE", "0", False)],
)
def test_a_stack_without_the_release_or_that_waits_to_be_confirmed_is_not_deployed(
    monkeypatch: pytest.MonkeyPatch, status: str, released: str, *, expected: bool
) -> None:
    release = {"ParameterKey": "Release", "ParameterValue": released}
    monkeypatch.setattr(deploying, "describe", lambda _: {"StackStatus": status, "Parameters": [release]})
    assert deploying.is_deployed("image-intensity", "1") is expected


@pytest.fixture
def production(aws: None) -> Iterator[str]:  # noqa: ARG001 - needed first
    """The deployment `prod`, likewise."""
    name = Deployment.read("prod").stack
    make(name)
    yield name
    client = boto3.client("cloudformation")
    client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    client.delete_stack(StackName=name)


def make_firewall(stack: str) -> int:
    """Make a stack in the place of the firewall of CloudFront."""
    east = boto3.client("cloudformation", region_name="us-east-1")
    east.create_stack(StackName=Neighbours(stack, "eu-central-1").firewall, TemplateBody=TOPIC)
    return 0


def firewalls() -> int:
    east = boto3.client("cloudformation", region_name="us-east-1")
    return len(east.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"])


EMAIL = "AlarmEmail=a@example.com"


def test_production_has_zones_a_firewall_for_cloudfront_and_protection(programs: Programs, production: str) -> None:
    deploying.main("prod", EMAIL)
    firewall, _, _, watch = programs.started
    # Their names are those of the region: another one has stacks of its own beside them.
    east = [f"{production}-eu-central-1-{part}" for part in ("firewall", "watch")]
    assert programs.stacks == [east[0], f"{production}-images", east[1]]
    for each in (firewall, watch):
        assert each[each.index("--region") + 1] == "us-east-1"
    assert {"Scope=CLOUDFRONT", "RequestsPerAddress=250", "PostsPerAddress=80"} <= set(firewall)
    assert {"Host=abc.execute-api.eu-central-1.amazonaws.com", "Path=/v1/health/ready", "DailyBudget=20"} <= set(watch)
    [given] = programs.parameters
    chosen = {"Zones": "eu-central-1b,eu-central-1c", "SiteFirewallArn": "arn:firewall", "DirectAccess": "off"}
    assert chosen.items() <= given.items()
    described = describe(production)
    assert described
    assert described["EnableTerminationProtection"] is True


@pytest.mark.parametrize("end", ["declined", "failed"])
def test_a_deployment_that_comes_to_nothing_leaves_page_and_firewall_as_they_were(
    programs: Programs, production: str, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    published = MagicMock()
    monkeypatch.setattr(deploying, "publish", published)
    monkeypatch.setattr(deploying, "is_deployed", lambda *_: False)
    programs.instead[1] = lambda: make_firewall(production)
    if end == "failed":
        programs.instead |= dict.fromkeys((3, 6), lambda: 1)
    reason = "not confirmed" if end == "declined" else "1"
    with pytest.raises(SystemExit, match=reason):
        deploying.main("prod", "PostsPerAddress=20", EMAIL)
    assert len(programs.started) == 3
    assert firewalls() == 0
    # The deployment has one, with limits of its own.
    before = {"SiteFirewallArn": "arn:firewall", "PostsPerAddress": "60", "Chosen": "AlarmEmail"}
    monkeypatch.setattr(Deployment, "present", {"AlarmEmail": "a@example.com", **before})
    with pytest.raises(SystemExit, match=reason):
        deploying.main("prod", "PostsPerAddress=20")
    changed, _, _, restored = programs.started[3:]
    assert "PostsPerAddress=20" in changed
    assert restored == [each.replace("PostsPerAddress=20", "PostsPerAddress=60") for each in changed]
    assert not published.called


@pytest.mark.parametrize(("status", "left"), [("UPDATE_IN_PROGRESS", 1), ("REVIEW_IN_PROGRESS", 0)])
def test_a_firewall_stays_while_a_stack_that_may_need_it_is_under_way(
    programs: Programs, production: str, monkeypatch: pytest.MonkeyPatch, status: str, left: int
) -> None:
    make_firewall(production)
    monkeypatch.setattr(deploying, "describe", lambda _: {"StackStatus": status})
    monkeypatch.setattr(deploying, "is_deployed", lambda *_: False)
    with pytest.raises(SystemExit):
        deploying.main("prod", EMAIL)
    assert len(programs.started) == 3
    assert firewalls() == left
    Neighbours(production, "eu-central-1").delete_all()


EXPIRED = ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "DescribeStacks")


@pytest.mark.parametrize("error", [EXPIRED, NoCredentialsError(), None], ids=["expired", "no credentials", "limits"])
@pytest.mark.parametrize("environment", ["default", "prod"])
def test_a_firewall_that_cannot_be_put_back_is_told_and_hides_no_failure(
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: str,
    error: Exception | None,
) -> None:
    deployed = 3 if environment == "prod" else 2
    programs.instead |= {deployed: lambda: 3, deployed + 1: lambda: 254}
    monkeypatch.setattr(deploying, "describe", MagicMock(return_value=None, side_effect=error))
    monkeypatch.setattr(Deployment, "present", {} if error else {"SiteFirewallArn": "arn:firewall"})
    with pytest.raises(SystemExit) as caught:
        deploying.main(environment, EMAIL)
    assert caught.value.code == 3
    told = capsys.readouterr().err
    if environment == "prod":
        assert f"could not be put back as it was{f': {error}' if error else ''}\nIt stays, with the limits" in told
        assert "costs by the month" in told
        assert "make teardown ENV=prod CONFIRM=image-intensity" in told
    else:
        assert told == ""


def test_the_firewall_for_cloudfront_goes_when_it_is_turned_off(
    programs: Programs, production: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_firewall(production)
    # The present deployment has none, so this one is not its own.
    deploying.main("prod", EMAIL, "Site=off")
    assert firewalls() == 1
    monkeypatch.setattr(Deployment, "present", {"SiteFirewallArn": "arn:firewall"})
    deploying.main("prod", EMAIL)
    assert firewalls() == 1
    deploying.main("prod", EMAIL, "Site=off")
    assert firewalls() == 0
    assert programs.parameters[-1]["SiteFirewallArn"] == ""


@pytest.fixture
def site(aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:  # noqa: ARG001 - needed first
    """A stack with the page's bucket, and a page of two files. CloudFront and the API are only asked."""
    name, asked = "site", boto3.client
    asked("cloudformation").create_stack(StackName=name, TemplateBody=SITE)
    asked("cloudformation").get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    others = MagicMock()
    monkeypatch.setattr(
        boto3, "client", lambda name, **more: others if name in {"cloudfront", "apigateway"} else asked(name, **more)
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


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", ""])
def test_a_stack_that_could_not_be_made_is_deleted_before_the_next_try(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    client = MagicMock()
    monkeypatch.setattr(neighbours, "describe", lambda *_: {"StackStatus": status} if status else None)
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    delete_failed("stack", "eu-central-1")
    assert client.delete_stack.called is (status == "ROLLBACK_COMPLETE")


@pytest.mark.usefixtures("aws")
def test_a_stack_that_is_not_there_has_no_description() -> None:
    assert describe("not-there") is None


def test_two_versions_stay_and_what_an_alias_names() -> None:
    client: Any = MagicMock()
    listed = [{"Version": each} for each in ("$LATEST", "9", "10", "11", "12", "13")]
    client.get_paginator.return_value.paginate.return_value = [{"Versions": listed[:3]}, {"Versions": listed[3:]}]
    routing = {"AdditionalVersionWeights": {"10": 0.1}}
    client.list_aliases.return_value = {"Aliases": [{"FunctionVersion": "9", "RoutingConfig": routing}]}
    assert too_old(client, "function") == ["11"]


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


def test_the_role_for_logs_is_made_once(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploying, "has_log_role", lambda _: False)
    deploying.main("default")
    assert programs.stacks[0] == "api-gateway-logs"
    assert programs.started[0][programs.started[0].index("--template-file") + 1].endswith("infra/account.yaml")
    programs.started.clear()
    deploying.main("default", "Monitoring=off")
    assert "api-gateway-logs" not in programs.stacks


def test_every_deployment_is_tagged_with_its_environment() -> None:
    configured = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
    for environment in ("default", "prod"):
        assert "environment=" in configured[environment]["deploy"]["parameters"]["tags"]


def test_a_teardown_empties_the_buckets_ends_the_keys_and_protection(stack: str) -> None:
    s3, cloudformation, iam = boto3.client("s3"), boto3.client("cloudformation"), boto3.client("iam")
    cloudformation.update_termination_protection(StackName=stack, EnableTerminationProtection=True)
    bucket, role, plan = (physical(stack, each) for each in ("Uploads", uploads.ROLE, "UsagePlan"))
    for number in range(1001):
        s3.put_object(Bucket=bucket, Key=f"uploads/{number}", Body=b"")
    iam.attach_role_policy(RoleName=role, PolicyArn=physical(stack, uploads.POLICY))
    client = boto3.client("apigateway")
    for name in (f"{stack}-alice", "by hand", "by hand"):
        keys.make(client, plan, name)
    client.create_api_key(name="of something else")
    teardown.prepare(stack)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    assert keys.of_plan(client, plan) == {}
    assert [key["name"] for key in client.get_api_keys()["items"]] == ["of something else"]
    described = describe(stack)
    assert described
    assert described["EnableTerminationProtection"] is False


@pytest.mark.usefixtures("aws")
def test_a_bucket_that_is_gone_is_empty() -> None:
    teardown.empty("not-there")


@pytest.mark.usefixtures("aws")
def test_a_teardown_of_production_wants_the_name_of_its_stack() -> None:
    with pytest.raises(SystemExit, match="CONFIRM=image-intensity"):
        teardown.main("prod", "yes")


def test_a_teardown_deletes_the_stack_and_its_firewall(stack: str, programs: Programs) -> None:
    make_firewall(stack)
    teardown.main("default")
    [command] = programs.started
    assert command[1:] == ["delete", "--stack-name", stack, "--region", "eu-central-1", "--no-prompts"]
    assert firewalls() == 0


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
        Deployment.read("default").name_of("SecretKey")


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
