"""What CloudFormation gets: template.yaml after the SAM translator, and the rules that it must keep there."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.aws.translation import REPOSITORY, deployed, of_type, translate


def versions(**parameters: str) -> set[str]:
    """The versions of gateway and processor."""
    found = of_type(deployed(**parameters), "AWS::Lambda::Version")
    assert len(found) == 2
    # Older ones stay, for a rollback by hand.
    assert {each["DeletionPolicy"] for each in found.values()} == {"Retain"}
    return set(found)


def test_another_release_publishes_another_version() -> None:
    assert not versions(Release="1" * 64) & versions(Release="2" * 64)


@pytest.mark.parametrize("function", ["GatewayFunction", "ProcessorFunction"])
def test_a_release_changes_the_function_without_which_lambda_publishes_no_version(function: str) -> None:
    assert deployed()[function]["Properties"]["Environment"]["Variables"]["RELEASE"] == {"Ref": "Release"}


def test_the_gateway_calls_a_version_of_the_processor_and_never_the_latest() -> None:
    resources = deployed()
    named = resources["GatewayFunction"]["Properties"]["Environment"]["Variables"]["PROCESSOR_FUNCTION_NAME"]["Ref"]
    assert resources[named]["Type"] == "AWS::Lambda::Version"
    assert resources[named]["Properties"]["FunctionName"] == {"Ref": "ProcessorFunction"}


def test_the_same_release_publishes_none() -> None:
    assert versions(Release="1" * 64, MaxImagePixels="1") == versions(Release="1" * 64)


def test_without_a_release_the_code_decides() -> None:
    template = (REPOSITORY / "template.yaml").read_text()
    other = template.replace("CodeUri: functions/gateway", "CodeUri: s3://artifacts/another.zip")
    names = [of_type(translate(each, {})["Resources"], "AWS::Lambda::Version").keys() for each in (template, other)]
    assert names[0] != names[1]


def test_there_is_one_stage_and_it_is_v1() -> None:
    (stage,) = of_type(deployed(), "AWS::ApiGateway::Stage").values()
    (deployment,) = of_type(deployed(), "AWS::ApiGateway::Deployment").values()
    assert stage["Properties"]["StageName"] == "v1"
    assert "StageName" not in deployment["Properties"]


def settings_of(path: str, method: str) -> dict[str, Any]:
    (stage,) = of_type(deployed(), "AWS::ApiGateway::Stage").values()
    found: list[dict[str, Any]] = [
        each
        for each in stage["Properties"]["MethodSettings"]
        if (each["ResourcePath"], each["HttpMethod"]) == (path, method)
    ]
    return found[0]


def test_every_method_has_a_limit_and_forms_for_uploads_a_lower_one() -> None:
    # CloudFormation wants a slash of a path as ~1 (AWS::ApiGateway::Stage MethodSetting, ResourcePath).
    usual, forms, script = (
        settings_of("/*", "*"),
        settings_of("/~1uploads", "POST"),
        settings_of("/~1docs~1{file}", "GET"),
    )
    assert usual["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}
    assert forms["ThrottlingRateLimit"] == script["ThrottlingRateLimit"] == 1


def test_a_burst_is_no_more_than_there_are_gateways() -> None:
    burst = {"Fn::If": ["GatewayBounded", {"Ref": "GatewayConcurrency"}, 5]}
    assert settings_of("/*", "*")["ThrottlingBurstLimit"] == burst


def test_methods_have_no_metrics_of_their_own_which_cost() -> None:
    assert "MetricsEnabled" not in settings_of("/*", "*")


def test_the_path_with_a_lower_limit_takes_every_method_that_others_take() -> None:
    (api,) = of_type(deployed(), "AWS::ApiGateway::RestApi").values()
    paths = api["Properties"]["Body"]["paths"]
    assert paths["/uploads"].keys() == paths["/{proxy+}"].keys()


SAFE = {"SafeDeployment": "true"}


def test_a_canary_is_rolled_back_by_crashes_and_internal_errors_and_asks_the_new_version_first() -> None:
    resources = deployed(**SAFE)
    (group,) = of_type(resources, "AWS::CodeDeploy::DeploymentGroup").values()
    assert "Canary10Percent5Minutes" in str(group["Properties"]["DeploymentConfigName"])
    watched = [
        resources[each["Name"]["Ref"]]["Properties"] for each in group["Properties"]["AlarmConfiguration"]["Alarms"]
    ]
    # Not 5XXError: that counts what is busy, too.
    assert {each["MetricName"] for each in watched} == {"Errors", "InternalErrors"}
    assert all(each["Threshold"] >= 2 for each in watched)
    aliases = of_type(resources, "AWS::Lambda::Alias")
    update = aliases["GatewayFunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert update["BeforeAllowTrafficHook"]["Fn::If"][:2] == ["DeployedSafely", {"Ref": "PreTrafficFunction"}]


def test_a_hotfix_can_do_without_codedeploy_which_waits_for_alarms() -> None:
    resources = deployed(SafeDeployment="false")
    assert not of_type(resources, "AWS::CodeDeploy::DeploymentGroup")
    assert all("UpdatePolicy" not in each for each in of_type(resources, "AWS::Lambda::Alias").values())


def test_every_role_has_the_boundary() -> None:
    boundary = {"Fn::If": ["BoundaryGiven", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    roles = of_type(deployed(**SAFE), "AWS::IAM::Role")
    for name in ("runs", "account"):
        text = (REPOSITORY / f"infra/{name}.yaml").read_text()
        roles |= of_type(yaml.load(text, Functions)["Resources"], "AWS::IAM::Role")  # noqa: S506 - a safe one
    assert len(roles) >= 11
    assert {name for name, role in roles.items() if role["Properties"].get("PermissionsBoundary") != boundary} == set()


def test_the_gateway_may_give_back_its_network_interfaces_after_the_cache_is_off() -> None:
    role = deployed(Cache="off")["GatewayFunctionRole"]["Properties"]
    assert "AWSLambdaVPCAccessExecutionRole" in str(role["ManagedPolicyArns"])
    denied = [each for each in role["Policies"][0]["PolicyDocument"]["Statement"] if each.get("Effect") == "Deny"]
    assert [each["Action"] for each in denied] == ["ec2:*"]


def test_the_hook_asks_the_new_version_and_codedeploy_may_call_it() -> None:
    resources = deployed(**SAFE)
    hook = resources["PreTrafficFunction"]["Properties"]
    version = hook["Environment"]["Variables"]["GATEWAY_VERSION"]["Ref"]
    assert resources[version]["Properties"]["FunctionName"] == {"Ref": "GatewayFunction"}
    assert hook["FunctionName"]["Fn::Sub"].startswith("CodeDeployHook_")


def references(value: object) -> set[str]:
    """The logical ids that a resource needs to be there before it."""
    if isinstance(value, list):
        return set().union(*map(references, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(references, value.values()))
    if "Ref" in value:
        found.add(str(value["Ref"]))
    if "Fn::GetAtt" in value:
        target = value["Fn::GetAtt"]
        found.add(target[0] if isinstance(target, list) else target.partition(".")[0])
    if "Fn::Sub" in value:
        text = value["Fn::Sub"] if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"][0]
        found |= {name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text)}
    if isinstance(value.get("DependsOn"), str):
        found.add(value["DependsOn"])
    return found | set(value.get("DependsOn", []) if isinstance(value.get("DependsOn"), list) else [])


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


class Functions(yaml.SafeLoader):
    """Reads CloudFormation's short forms as its long ones."""


def long_form(loader: Functions, tag: str, node: yaml.Node) -> dict[str, object]:
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


Functions.add_multi_constructor("!", long_form)


@pytest.mark.parametrize("stack_id", STACK_IDS)
def test_the_names_of_the_cache_are_names_to_elasticache_whatever_the_stacks_id(stack_id: str) -> None:
    network = yaml.load((REPOSITORY / "infra/network.yaml").read_text(), Functions)["Resources"]  # noqa: S506 - safe
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
    name: (REPOSITORY / stack["Properties"]["TemplateURL"], stack["Properties"]["Parameters"])
    for name, stack in yaml.load((REPOSITORY / "template.yaml").read_text(), Functions)["Resources"].items()  # noqa: S506 - safe
    if stack["Type"] == "AWS::CloudFormation::Stack"
}
# These have another name in their stack.
RENAMED = {("SiteStack", "FirewallArn"): "SiteFirewallArn", ("RunsStack", "Concurrency"): "RunsConcurrency"}
# The monitoring gets the name of the cache.
OTHERS = {("MonitoringStack", "Cache")}


@pytest.mark.parametrize("name", NESTED)
def test_what_a_deployment_chooses_reaches_the_nested_stack(name: str) -> None:
    file, given = NESTED[name]
    wanted = yaml.load(file.read_text(), Functions)["Parameters"]  # noqa: S506 - a safe one
    chosen = yaml.load((REPOSITORY / "template.yaml").read_text(), Functions)["Parameters"]  # noqa: S506 - a safe one
    missing = {each for each, parameter in wanted.items() if "Default" not in parameter} - given.keys()
    assert not missing
    for each in wanted:
        source = RENAMED.get((name, each), each)
        if source in chosen and (name, each) not in OTHERS:
            assert given[each] == {"Ref": source}, each


def test_the_zones_that_are_chosen_are_those_of_the_caches_subnets() -> None:
    network = yaml.load((REPOSITORY / "infra/network.yaml").read_text(), Functions)["Resources"]  # noqa: S506 - safe
    zones = [each["Properties"]["AvailabilityZone"] for each in of_type(network, "AWS::EC2::Subnet").values()]
    given = {"Fn::If": ["ZonesGiven", {"Fn::Split": [",", {"Ref": "Zones"}]}, {"Fn::GetAZs": ""}]}
    assert zones == [{"Fn::Select": [number, given]} for number in (0, 1)]


def test_the_role_for_logs_of_the_whole_account_is_not_a_part_of_a_deployment() -> None:
    assert not of_type(deployed(), "AWS::ApiGateway::Account")
    account = yaml.load((REPOSITORY / "infra/account.yaml").read_text(), Functions)["Resources"]  # noqa: S506 - safe
    policies = {name: resource.get("DeletionPolicy") for name, resource in account.items()}
    assert policies == {
        "ApiLogRole": "RetainExceptOnCreate",
        "FirstResource": None,
        "ApiAccount": "RetainExceptOnCreate",
    }
    assert account["ApiAccount"]["DependsOn"] == "FirstResource"
