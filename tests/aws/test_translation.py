"""What CloudFormation gets: template.yaml after the SAM translator, and the rules that it must keep there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.aws.translation import PARAMETERS, REPOSITORY, deployed, of_type, section, translate


def versions(**parameters: str) -> set[str]:
    """The versions of gateway and processor."""
    found = of_type(deployed(**parameters), "AWS::Lambda::Version")
    assert len(found) == 2
    # Older ones stay, for a rollback by hand.
    assert {each["DeletionPolicy"] for each in found.values()} == {"Retain"}
    return set(found)


def test_another_release_publishes_another_version_and_the_same_none() -> None:
    first = versions(Release="1" * 64)
    assert not first & versions(Release="2" * 64)
    assert versions(Release="1" * 64, MaxImagePixels="1") == first


def test_the_gateway_calls_a_version_of_the_processor_and_never_the_latest() -> None:
    resources = deployed()
    # Without it, Lambda publishes no version of an unchanged function.
    for function in ("GatewayFunction", "ProcessorFunction"):
        variables = resources[function]["Properties"]["Environment"]["Variables"]
        assert variables["RELEASE"] == {"Ref": "Release"}
    named = resources["GatewayFunction"]["Properties"]["Environment"]["Variables"]["PROCESSOR_FUNCTION_NAME"]["Ref"]
    assert resources[named]["Type"] == "AWS::Lambda::Version"
    assert resources[named]["Properties"]["FunctionName"] == {"Ref": "ProcessorFunction"}


def test_without_a_release_the_code_decides() -> None:
    template = (REPOSITORY / "template.yaml").read_text()
    other = template.replace("CodeUri: functions/gateway", "CodeUri: s3://artifacts/another.zip")
    names = [of_type(translate(each, {})["Resources"], "AWS::Lambda::Version").keys() for each in (template, other)]
    assert names[0] != names[1]


def test_there_is_one_stage_which_is_v1_and_every_method_has_a_limit() -> None:
    (stage,) = of_type(deployed(), "AWS::ApiGateway::Stage").values()
    (deployment,) = of_type(deployed(), "AWS::ApiGateway::Deployment").values()
    assert stage["Properties"]["StageName"] == "v1"
    assert "StageName" not in deployment["Properties"]
    limits = {(each["ResourcePath"], each["HttpMethod"]): each for each in stage["Properties"]["MethodSettings"]}
    # CloudFormation wants a slash of a path as ~1 (AWS::ApiGateway::Stage MethodSetting, ResourcePath).
    usual, forms, script = limits["/*", "*"], limits["/~1uploads", "POST"], limits["/~1docs~1{file}", "GET"]
    assert usual["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}
    assert forms["ThrottlingRateLimit"] == script["ThrottlingRateLimit"] == 1
    # A burst is no more than there are gateways.
    assert usual["ThrottlingBurstLimit"] == {"Fn::If": ["GatewayBounded", {"Ref": "GatewayConcurrency"}, 5]}
    # Metrics of methods cost.
    assert "MetricsEnabled" not in usual
    # The path with a lower limit takes every method that others take.
    (api,) = of_type(deployed(), "AWS::ApiGateway::RestApi").values()
    paths = api["Properties"]["Body"]["paths"]
    assert paths["/uploads"].keys() == paths["/{proxy+}"].keys()


SAFE = {"SafeDeployment": "true"}


def test_a_canary_is_rolled_back_by_crashes_and_internal_errors_and_asks_the_new_version_first() -> None:
    resources = deployed(**SAFE)
    (group,) = of_type(resources, "AWS::CodeDeploy::DeploymentGroup").values()
    assert "Canary10Percent5Minutes" in str(group["Properties"]["DeploymentConfigName"])
    alarms = group["Properties"]["AlarmConfiguration"]["Alarms"]
    watched = [resources[each["Name"]["Ref"]]["Properties"] for each in alarms]
    # Not 5XXError: that counts what is busy, too.
    assert {each["MetricName"] for each in watched} == {"Errors", "InternalErrors"}
    assert all(each["Threshold"] >= 2 for each in watched)
    aliases = of_type(resources, "AWS::Lambda::Alias")
    update = aliases["GatewayFunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert update["BeforeAllowTrafficHook"]["Fn::If"][:2] == ["DeployedSafely", {"Ref": "PreTrafficFunction"}]
    hook = resources["PreTrafficFunction"]["Properties"]
    version = hook["Environment"]["Variables"]["GATEWAY_VERSION"]["Ref"]
    assert resources[version]["Properties"]["FunctionName"] == {"Ref": "GatewayFunction"}
    # So CodeDeploy may call it.
    assert hook["FunctionName"]["Fn::Sub"].startswith("CodeDeployHook_")


def test_a_hotfix_can_do_without_codedeploy_which_waits_for_alarms() -> None:
    resources = deployed(SafeDeployment="false")
    assert not of_type(resources, "AWS::CodeDeploy::DeploymentGroup")
    assert all("UpdatePolicy" not in each for each in of_type(resources, "AWS::Lambda::Alias").values())


def test_every_role_has_the_boundary() -> None:
    boundary = {"Fn::If": ["BoundaryGiven", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    roles = of_type(deployed(**SAFE), "AWS::IAM::Role")
    for name in ("runs", "account"):
        roles |= of_type(section(f"infra/{name}.yaml"), "AWS::IAM::Role")
    assert len(roles) >= 11
    assert {name for name, role in roles.items() if role["Properties"].get("PermissionsBoundary") != boundary} == set()


def test_the_gateway_may_give_back_its_network_interfaces_after_the_cache_is_off() -> None:
    role = deployed(Cache="off")["GatewayFunctionRole"]["Properties"]
    assert "AWSLambdaVPCAccessExecutionRole" in str(role["ManagedPolicyArns"])
    denied = [each for each in role["Policies"][0]["PolicyDocument"]["Statement"] if each.get("Effect") == "Deny"]
    assert [each["Action"] for each in denied] == ["ec2:*"]


def references(value: object) -> set[str]:
    """The logical ids that a resource needs to be there before it."""
    if isinstance(value, list):
        return set().union(*map(references, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(references, value.values()))
    for target in ("Ref", "Fn::GetAtt", "DependsOn"):
        named = value.get(target, [])
        # Of an attribute, as a list or with a dot, the first part is the resource.
        names = [named] if isinstance(named, str) else named[:1] if target == "Fn::GetAtt" else named
        found |= {str(name).partition(".")[0] for name in names}
    text = value.get("Fn::Sub", "")
    found |= {
        name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text if isinstance(text, str) else text[0])
    }
    return found


@pytest.mark.parametrize("cache", ["on", "off"])
def test_no_resource_waits_for_itself(cache: str) -> None:
    waiting = {name: references(resource) for name, resource in deployed(**SAFE, Cache=cache).items()}
    waiting = {name: needed & waiting.keys() for name, needed in waiting.items()}
    while ready := {name for name, needed in waiting.items() if not needed}:
        waiting = {name: needed - ready for name, needed in waiting.items() if name not in ready}
    assert not waiting, f"each of these waits for another of them: {sorted(waiting)}"


# A stack's id ends with a UUID, and ten of the sixteen digits that it can begin with are no letters.
STACK_IDS = [
    f"arn:aws:cloudformation:eu-central-1:1:stack/n/{first}{'0' * 7}-1111-11f0-8888-0123456789ab" for first in "09af"
]


def rendered(value: Any, stack_id: str) -> str:  # noqa: ANN401 - any of CloudFormation's functions
    """What CloudFormation makes of the few functions that names are built with."""
    if isinstance(value, str):
        return value
    [(function, argument)] = value.items()
    if function == "Ref":
        return {"AWS::StackId": stack_id}[str(argument)]
    if function == "Fn::Select":
        index, [separator, source] = argument[0], argument[1]["Fn::Split"]
        return rendered(source, stack_id).split(separator)[int(index)]
    if function == "Fn::Join":
        return str(argument[0]).join(rendered(part, stack_id) for part in argument[1])
    text, names = argument
    for name, part in names.items():
        text = text.replace(f"${{{name}}}", rendered(part, stack_id))
    return str(text)


@pytest.mark.parametrize("stack_id", STACK_IDS)
def test_the_names_of_the_cache_are_names_to_elasticache_whatever_the_stacks_id(stack_id: str) -> None:
    network = section("infra/network.yaml")
    names = [
        network["CacheUser"]["Properties"]["UserId"],
        network["CacheUsers"]["Properties"]["UserGroupId"],
        network["Cache"]["Properties"]["ServerlessCacheName"],
    ]
    for name in (rendered(each, stack_id) for each in names):
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-elasticache-user.html
        assert re.fullmatch("[a-z][a-z0-9-]{0,39}", name), name
        assert "--" not in name


def test_builds_leave_no_file_of_another_user() -> None:
    makefiles = [*REPOSITORY.glob("functions/*/Makefile"), REPOSITORY / "layers/contract/Makefile"]
    runs = [line for each in makefiles for line in each.read_text().splitlines() if "docker run" in line]
    assert len(runs) >= 3
    assert all('--user "$$(id -u):$$(id -g)"' in line for line in runs), runs


NESTED = {
    name: (stack["Properties"]["TemplateURL"], stack["Properties"]["Parameters"])
    for name, stack in section("template.yaml").items()
    if stack["Type"] == "AWS::CloudFormation::Stack"
}
# These have another name in their stack.
RENAMED = {("SiteStack", "FirewallArn"): "SiteFirewallArn", ("RunsStack", "Concurrency"): "RunsConcurrency"}
# The monitoring gets the name of the cache.
OTHERS = {("MonitoringStack", "Cache")}


@pytest.mark.parametrize("name", NESTED)
def test_what_a_deployment_chooses_reaches_the_nested_stack(name: str) -> None:
    file, given = NESTED[name]
    wanted = section(file, "Parameters")
    missing = {each for each, parameter in wanted.items() if "Default" not in parameter} - given.keys()
    assert not missing
    for each in wanted:
        source = RENAMED.get((name, each), each)
        if source in PARAMETERS and (name, each) not in OTHERS:
            assert given[each] == {"Ref": source}, each


def test_the_zones_that_are_chosen_are_those_of_the_caches_subnets() -> None:
    network = section("infra/network.yaml")
    zones = [each["Properties"]["AvailabilityZone"] for each in of_type(network, "AWS::EC2::Subnet").values()]
    given = {"Fn::If": ["ZonesGiven", {"Fn::Split": [",", {"Ref": "Zones"}]}, {"Fn::GetAZs": ""}]}
    assert zones == [{"Fn::Select": [number, given]} for number in (0, 1)]


def test_the_role_for_logs_of_the_whole_account_is_not_a_part_of_a_deployment() -> None:
    assert not of_type(deployed(), "AWS::ApiGateway::Account")
    account = section("infra/account.yaml")
    policies = {name: resource.get("DeletionPolicy") for name, resource in account.items()}
    kept = "RetainExceptOnCreate"
    assert policies == {"ApiLogRole": kept, "FirstResource": None, "ApiAccount": kept}
    assert account["ApiAccount"]["DependsOn"] == "FirstResource"
