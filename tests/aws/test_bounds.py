"""What bounds a bill, and what keeps others from walking around it: rules for the templates."""

from __future__ import annotations

import re
from json import loads
from typing import Any

import pytest
import yaml

import brake
from contract.problems import PROBLEM_TYPES, ProblemCode
from deployment.deploy import LIMITS_PER_ADDRESS
from deployment.publish_page import PAGE
from deployment.spending import PAGE_FILE_BYTES
from deployment.stack import Deployment
from deployment.uploads import POLICY_NAME
from gateway.http.cloudfront import SECRET_HEADER
from gateway.http.request_log import METRICS_NAMESPACE
from tests.aws.test_translation import Functions
from tests.aws.translation import REPOSITORY, deployed


def template(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((REPOSITORY / "infra" / name).read_text(), Functions)  # noqa: S506 - a safe one
    resources: dict[str, Any] = content["Resources"]
    return resources


PARAMETERS = yaml.load((REPOSITORY / "template.yaml").read_text(), Functions)["Parameters"]  # noqa: S506 - a safe one


def test_both_functions_are_bounded_by_default() -> None:
    resources = deployed()
    for function, parameter in (
        ("GatewayFunction", "GatewayConcurrency"),
        ("ProcessorFunction", "ProcessorConcurrency"),
    ):
        reserved = resources[function]["Properties"]["ReservedConcurrentExecutions"]
        assert reserved["Fn::If"][1] == {"Ref": parameter}
    assert PARAMETERS["ProcessorConcurrency"]["Default"] == 10
    # A measurement keeps a gateway waiting: with fewer, processors would be paid for and never used.
    assert PARAMETERS["GatewayConcurrency"]["Default"] >= PARAMETERS["ProcessorConcurrency"]["Default"]


def test_what_costs_most_is_off_and_forms_are_few_by_default() -> None:
    defaults = {name: PARAMETERS[name]["Default"] for name in ("JobConcurrency", "Runs", "UploadsPerSecond")}
    assert defaults == {"JobConcurrency": 0, "Runs": "off", "UploadsPerSecond": 1}
    reserved = deployed()["JobFunction"]["Properties"]["ReservedConcurrentExecutions"]
    assert reserved["Fn::If"][:2] == ["JobsBounded", {"Ref": "JobConcurrency"}]


*RULES, FILES = template("firewall.yaml")["Acl"]["Properties"]["Rules"]


@pytest.mark.parametrize("rule", [*RULES, FILES["Fn::If"][1]], ids=lambda rule: str(rule["Name"]))
def test_the_firewall_counts_addresses_and_answers_429(rule: dict[str, Any]) -> None:
    statement = rule["Statement"]["RateBasedStatement"]
    assert (statement["AggregateKeyType"], statement["EvaluationWindowSec"]) == ("IP", 300)
    response = rule["Action"]["Block"]["CustomResponse"]
    assert response["ResponseCode"] == 429
    assert {"Name": "Retry-After", "Value": "300"} in response["ResponseHeaders"]


def test_the_firewall_does_not_count_cloudfronts_addresses_at_the_api() -> None:
    requests, posts = (rule["Statement"]["RateBasedStatement"]["ScopeDownStatement"]["Fn::If"] for rule in RULES)
    for scope in (requests[1], posts[1]["AndStatement"]["Statements"][1]):
        match = scope["NotStatement"]["Statement"]["ByteMatchStatement"]
        assert match["FieldToMatch"] == {"SingleHeader": {"Name": SECRET_HEADER}}
    assert requests[0] == posts[0] == "BehindCloudFront"


def test_the_firewall_counts_requests_and_posts_each_up_to_their_own_limit() -> None:
    every, posts = (rule["Statement"]["RateBasedStatement"] for rule in RULES)
    assert (every["Limit"], posts["Limit"]) == ({"Ref": "RequestsPerAddress"}, {"Ref": "PostsPerAddress"})
    behind, alone = posts["ScopeDownStatement"]["Fn::If"][1:]
    for match in (behind["AndStatement"]["Statements"][0], alone):
        assert match["ByteMatchStatement"]["FieldToMatch"] == {"Method": {}}
        assert match["ByteMatchStatement"]["SearchString"] == "POST"
    # CloudFront's counts all but the files of the page, the one of an API without CloudFront everything.
    condition, page_left_out, alone = every["ScopeDownStatement"]["Fn::If"][2]["Fn::If"]
    assert (condition, alone) == ("ForCloudFront", {"Ref": "AWS::NoValue"})
    files = FILES["Fn::If"][1]["Statement"]["RateBasedStatement"]
    assert (FILES["Fn::If"][0], files["Limit"]) == ("ForCloudFront", {"Ref": "FilesPerAddress"})
    assert page_left_out == {"NotStatement": {"Statement": files["ScopeDownStatement"]}}


def test_the_firewall_takes_no_request_to_the_api_for_a_file_of_the_page() -> None:
    match = FILES["Fn::If"][1]["Statement"]["RateBasedStatement"]["ScopeDownStatement"]["RegexMatchStatement"]
    assert match["FieldToMatch"] == {"UriPath": {}}
    assert match["TextTransformations"] == [{"Priority": 0, "Type": "NONE"}]

    def is_file(path: str) -> bool:
        return re.search(match["RegexString"], path, re.ASCII) is not None

    page = [f"/{file.relative_to(PAGE).as_posix()}" for file in PAGE.rglob("*") if file.is_file()]
    counted = {path for path in page if not is_file(path)}
    assert {path for path in counted if not path.startswith("/samples/")} == {"/vendor/noble-hashes-2.4.0/LICENSE"}
    assert is_file("/")
    # As many as the parameter says, and no larger than the costs assume.
    assert len(page) - len(counted) <= 30
    sizes = [(PAGE / path[1:]).stat().st_size for path in page if is_file(path)]
    assert max(sizes) <= PAGE_FILE_BYTES <= 1.01 * max(sizes)
    api = [each["PathPattern"].replace("*", "") for each in distribution()["CacheBehaviors"]]
    assert "/docs/" in api
    for path in (*api, "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/jobs/a", "/health/ready"):
        for spelled in (
            path,
            f"/{path}",
            f"/.{path}",
            f"/vendor/..{path}",
            f"/vendor/x-1/..{path}",
            f"/index.html/..{path}",
        ):
            assert not is_file(spelled), spelled
        assert not is_file(path.replace("/", "/%2e%2e/"))


def test_the_firewall_is_before_the_api_and_before_cloudfront() -> None:
    (stage,) = [name for name, each in deployed().items() if each["Type"] == "AWS::ApiGateway::Stage"]
    parameters = deployed()["FirewallStack"]["Properties"]["Parameters"]
    assert parameters["Scope"] == "REGIONAL"
    assert {name: parameters[name] for name in LIMITS_PER_ADDRESS} == {n: {"Ref": n} for n in LIMITS_PER_ADDRESS}
    assert parameters["Protected"]["Fn::Sub"].endswith(f"/restapis/${{Api}}/stages/${{{stage}}}")
    association = template("firewall.yaml")["Association"]["Properties"]
    assert association == {"WebACLArn": {"Fn::GetAtt": "Acl.Arn"}, "ResourceArn": {"Ref": "Protected"}}
    assert distribution()["WebACLId"] == {"Fn::If": ["FirewallGiven", {"Ref": "FirewallArn"}, {"Ref": "AWS::NoValue"}]}


def test_the_limits_of_the_firewall_are_the_deployments() -> None:
    own = yaml.load((REPOSITORY / "infra/firewall.yaml").read_text(), Functions)["Parameters"]  # noqa: S506 - safe
    for name in LIMITS_PER_ADDRESS:
        assert own[name]["Default"] == PARAMETERS[name]["Default"]


def test_production_is_behind_the_firewall_cloudfront_and_keys_and_its_releases_are_canaries() -> None:
    chosen = Deployment.read("prod", []).chosen
    sensible = {"Firewall": "on", "DirectAccess": "off", "Access": "keys", "SafeDeployment": "true"}
    assert {name: chosen.get(name) for name in sensible} == sensible
    assert chosen["Deployment"].startswith("Canary")


def test_the_budget_of_a_day_tells_whoever_gets_the_alarms() -> None:
    budget = deployed()["Budget"]["Properties"]
    assert budget["Budget"] == {
        "BudgetType": "COST",
        "TimeUnit": "DAILY",
        "BudgetLimit": {"Amount": {"Ref": "DailyBudget"}, "Unit": "USD"},
    }
    [told] = budget["NotificationsWithSubscribers"]
    assert told["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": {"Ref": "AlarmEmail"}}]
    subscription = deployed()["AlarmSubscription"]["Properties"]
    assert subscription == {"TopicArn": {"Ref": "Alarms"}, "Protocol": "email", "Endpoint": {"Ref": "AlarmEmail"}}


def test_an_alarm_watches_how_much_is_stored() -> None:
    alarm = deployed()["MuchStored"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/S3", "BucketSizeBytes")
    assert {"Name": "BucketName", "Value": {"Ref": "Uploads"}} in alarm["Dimensions"]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1_000_000_000_000, "GreaterThanOrEqualToThreshold")


def test_the_firewalls_answer_is_a_problem_of_the_contract() -> None:
    body = template("firewall.yaml")["Acl"]["Properties"]["CustomResponseBodies"]["too-many-requests"]["Content"]
    problem = loads(body)
    kind = PROBLEM_TYPES[ProblemCode.TOO_MANY_REQUESTS]
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert (problem["code"], problem["status"], problem["title"]) == ("too_many_requests", kind.status, kind.title)


def test_the_firewall_shows_nobody_the_secret() -> None:
    acl = template("firewall.yaml")["Acl"]["Properties"]
    samples = [acl["VisibilityConfig"], *(rule["VisibilityConfig"] for rule in [*RULES, FILES["Fn::If"][1]])]
    assert {each["SampledRequestsEnabled"] for each in samples} == {False}


def distribution() -> dict[str, Any]:
    properties: dict[str, Any] = template("site.yaml")["Distribution"]["Properties"]["DistributionConfig"]
    return properties


def test_cloudfront_sends_the_header_that_the_gateway_asks_for() -> None:
    (api,) = [origin for origin in distribution()["Origins"] if origin["Id"] == "api"]
    (header,) = api["OriginCustomHeaders"]
    assert header["HeaderName"].lower() == SECRET_HEADER


# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html#HTTPStatusCodes-cached-errors
KEPT_BY_CLOUDFRONT = {400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}


def test_cloudfront_keeps_no_error() -> None:
    errors = {each["ErrorCode"]: each["ErrorCachingMinTTL"] for each in distribution()["CustomErrorResponses"]}
    assert errors == dict.fromkeys(KEPT_BY_CLOUDFRONT, 0)


CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"


def test_cloudfront_keeps_the_page_and_the_parts_of_docs_and_nothing_else_and_compresses_all() -> None:
    policies = {each["PathPattern"]: each["CachePolicyId"] for each in distribution()["CacheBehaviors"]}
    assert policies.pop("/docs/*") == CACHING_OPTIMIZED
    assert set(policies.values()) == {CACHING_DISABLED}
    page = distribution()["DefaultCacheBehavior"]
    assert page["CachePolicyId"] == CACHING_OPTIMIZED
    assert all(behavior["Compress"] for behavior in [page, *distribution()["CacheBehaviors"]])


def test_the_brake_is_pulled_by_the_alarm_on_files_sent_to_s3() -> None:
    resources = deployed()
    alarm = resources["TooManyUploads"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Period"]) == ("AWS/S3", "PostRequests", 60)
    assert {"Fn::GetAtt": ["BrakeFunction", "Arn"]} in alarm["AlarmActions"]
    # S3 has no metrics of requests without this.
    metrics = resources["Uploads"]["Properties"]["MetricsConfigurations"]["Fn::If"][1]
    assert {"Name": "FilterId", "Value": metrics[0]["Id"]} in alarm["Dimensions"]
    assert resources["BrakePermission"]["Properties"]["Principal"] == "lambda.alarms.cloudwatch.amazonaws.com"
    assert resources["BrakeFunction"]["Properties"]["Environment"]["Variables"]["GATEWAY_ROLE"] == {
        "Ref": "GatewayRole"
    }
    assert alarm["Threshold"] == {"Ref": "UploadsBeforeBrake"}
    [policy] = resources["BrakeRole"]["Properties"]["Policies"]
    rights = [(each["Action"], each["Resource"]) for each in policy["PolicyDocument"]["Statement"]]
    assert rights[0] == ("iam:PutRolePolicy", {"Fn::GetAtt": ["GatewayRole", "Arn"]})
    assert brake.POLICY_NAME == POLICY_NAME
    assert POLICY_NAME in alarm["AlarmDescription"]["Fn::Sub"]


def alarms() -> dict[str, dict[str, Any]]:
    every = deployed() | template("monitoring.yaml")
    return {name: each for name, each in every.items() if each.get("Type") == "AWS::CloudWatch::Alarm"}


def test_every_alarm_tells_somebody() -> None:
    # Not a parameter of the test: this needs the SAM CLI, and so may only be asked while a test runs.
    assert len(alarms()) > 5
    for name, alarm in alarms().items():
        assert {"Ref": "Alarms"} in alarm["Properties"]["AlarmActions"], name
        assert alarm["Properties"]["AlarmDescription"], name


def test_two_deployments_in_one_account_share_no_metric_and_no_dashboard() -> None:
    variables = deployed()["GatewayFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}
    monitoring = template("monitoring.yaml")
    assert deployed()["MonitoringStack"]["Properties"]["Parameters"]["ServiceName"] == {"Ref": "AWS::StackName"}
    assert monitoring["Dashboard"]["Properties"]["DashboardName"] == {"Ref": "ServiceName"}
    body = monitoring["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = loads(body.replace("${", "{"))["widgets"]
    metrics = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
    own = [metric for metric in metrics if metric[0] == METRICS_NAMESPACE]
    assert own
    assert all(metric[2:4] == ["service", "{ServiceName}"] for metric in own)


def test_the_saved_query_for_one_request_looks_into_both_functions() -> None:
    query = template("monitoring.yaml")["OneRequest"]["Properties"]
    assert query["LogGroupNames"] == [{"Ref": "GatewayLogGroup"}, {"Ref": "ProcessorLogGroup"}]
    assert "request_id" in query["QueryString"]


def test_the_gateways_network_leads_to_lambda_and_the_table_of_jobs_and_to_nothing_else() -> None:
    network = template("network.yaml")
    endpoints = [each for each in network.values() if each.get("Type") == "AWS::EC2::VPCEndpoint"]
    assert [each["Properties"]["ServiceName"] for each in endpoints] == [
        {"Fn::Sub": "com.amazonaws.${AWS::Region}.lambda"},
        {"Fn::Sub": "com.amazonaws.${AWS::Region}.dynamodb"},
    ]
    egress = network["FunctionGroup"]["Properties"]["SecurityGroupEgress"]
    assert {rule["CidrIp"] for rule in egress} == {network["Vpc"]["Properties"]["CidrBlock"]}
    [more] = [each for each in network.values() if each.get("Type") == "AWS::EC2::SecurityGroupEgress"]
    # Where that leads, the routes say: there is none but that of the gateway endpoint.
    assert more["Condition"] == endpoints[1]["Condition"] == "JobsOn"
    assert endpoints[1]["Properties"]["VpcEndpointType"] == "Gateway"
    assert not [each for each in network.values() if each.get("Type") == "AWS::EC2::Route"]


def test_the_gateways_role_may_use_the_endpoint_of_the_table() -> None:
    [statement] = template("network.yaml")["TableEndpoint"]["Properties"]["PolicyDocument"]["Statement"]
    # https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html#vpc-endpoint-policies-gateway:
    # the ARN of an account would be its root user alone.
    assert statement["Principal"] == "*"
    assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
    [rights] = [
        each
        for policy in deployed()["GatewayRole"]["Properties"]["Policies"]
        for each in policy.get("Fn::If", ["", policy])[1]["PolicyDocument"]["Statement"]
        if any(action.startswith("dynamodb:") for action in each["Action"])
    ]
    assert (statement["Action"], statement["Resource"]) == (rights["Action"], {"Ref": "JobTable"})
