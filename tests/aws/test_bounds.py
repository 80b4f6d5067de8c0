"""What bounds a bill, and what keeps others from walking around it: rules for the templates."""

from __future__ import annotations

import re
from json import loads
from typing import Any

import pytest

from contract.problems import PROBLEM_TYPES, ProblemCode
from deployment.publish_page import PAGE
from deployment.stack import Deployment, defaults
from deployment.uploads import POLICY, ROLE
from gateway.http.cloudfront import SECRET_HEADER
from gateway.http.request_log import METRICS_NAMESPACE
from tests.aws.translation import PARAMETERS, REPOSITORY, deployed, of_type, section

LIMITS_PER_ADDRESS = ("RequestsPerAddress", "PostsPerAddress")
# The largest file of the page that the firewall does not count as a request, but as a file.
PAGE_FILE_BYTES = 26_100


def test_functions_are_bounded_and_what_costs_most_is_off_by_default() -> None:
    resources = deployed()
    for name in ("Gateway", "Processor", "Job"):
        reserved = resources[f"{name}Function"]["Properties"]["ReservedConcurrentExecutions"]
        assert reserved["Fn::If"][1] == {"Ref": f"{name}Concurrency"}
    default = {name: each["Default"] for name, each in PARAMETERS.items()}
    off = {"ProcessorConcurrency": 10, "JobConcurrency": 0, "Runs": "off", "Site": "off", "Access": "keys"}
    assert off.items() <= default.items()
    # A measurement keeps a gateway waiting: with fewer, processors would be paid for and never used.
    assert default["GatewayConcurrency"] >= default["ProcessorConcurrency"]


*RULES, FILES = section("infra/firewall.yaml")["Acl"]["Properties"]["Rules"]


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
    assert (FILES["Fn::If"][0], files["Limit"]) == ("ForCloudFront", 1000)
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
    assert len(page) - len(counted) <= 40
    sizes = [(PAGE / path[1:]).stat().st_size for path in page if is_file(path)]
    assert max(sizes) <= PAGE_FILE_BYTES <= 1.01 * max(sizes)
    api = [each["PathPattern"].replace("*", "") for each in distribution()["CacheBehaviors"]]
    assert "/docs/" in api
    for path in (*api, "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/jobs/a", "/health/ready"):
        for before in ("", "/", "/.", "/vendor/..", "/vendor/x-1/..", "/index.html/.."):
            assert not is_file(f"{before}{path}"), before
        assert not is_file(path.replace("/", "/%2e%2e/"))


def test_the_firewall_is_before_the_api_and_before_cloudfront() -> None:
    (stage,) = of_type(deployed(), "AWS::ApiGateway::Stage")
    parameters = deployed()["FirewallStack"]["Properties"]["Parameters"]
    assert parameters["Scope"] == "REGIONAL"
    assert {name: parameters[name] for name in LIMITS_PER_ADDRESS} == {n: {"Ref": n} for n in LIMITS_PER_ADDRESS}
    assert parameters["Protected"]["Fn::Sub"].endswith(f"/restapis/${{Api}}/stages/${{{stage}}}")
    association = section("infra/firewall.yaml")["Association"]["Properties"]
    assert association == {"WebACLArn": {"Fn::GetAtt": "Acl.Arn"}, "ResourceArn": {"Ref": "Protected"}}
    assert distribution()["WebACLId"] == {"Fn::If": ["FirewallGiven", {"Ref": "FirewallArn"}, {"Ref": "AWS::NoValue"}]}


def test_a_distribution_with_a_firewall_has_no_ipv6_of_which_one_person_has_any_number() -> None:
    assert distribution()["IPV6Enabled"] == {"Fn::If": ["FirewallGiven", False, True]}
    assert section("infra/site.yaml")["DomainRecordIPv6"]["Condition"] == "IPv6Record"


def test_production_is_behind_the_firewall_cloudfront_and_keys_and_its_releases_are_canaries() -> None:
    chosen = defaults() | Deployment.read("prod").configured
    sensible = {"Site": "on", "Firewall": "on", "DirectAccess": "off", "Access": "keys", "SafeDeployment": "true"}
    assert sensible.items() <= chosen.items()


def test_the_budget_of_a_day_tells_whoever_gets_the_alarms() -> None:
    budget = section("infra/watch.yaml")["Budget"]["Properties"]
    assert budget["Budget"] == {
        "BudgetType": "COST",
        "TimeUnit": "DAILY",
        "BudgetLimit": {"Amount": {"Ref": "DailyBudget"}, "Unit": "USD"},
    }
    [told] = budget["NotificationsWithSubscribers"]
    assert told["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": {"Ref": "AlarmEmail"}}]
    for resources in (deployed(), section("infra/watch.yaml")):
        for name, topic in (("AlarmSubscription", "Alarms"), ("NoticeSubscription", "Notices")):
            subscription = resources[name]["Properties"]
            assert subscription == {"TopicArn": {"Ref": topic}, "Protocol": "email", "Endpoint": {"Ref": "AlarmEmail"}}


def test_an_alarm_watches_how_much_is_stored() -> None:
    alarm = section("infra/monitoring.yaml")["MuchStored"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/S3", "BucketSizeBytes")
    assert {"Name": "BucketName", "Value": {"Ref": "Uploads"}} in alarm["Dimensions"]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1_000_000_000_000, "GreaterThanOrEqualToThreshold")


def test_a_dead_service_without_requests_is_told() -> None:
    watch = section("infra/watch.yaml")
    assert watch["NotReady"]["Properties"]["Dimensions"] == [{"Name": "HealthCheckId", "Value": {"Ref": "Check"}}]
    assert watch["NotReady"]["Properties"]["TreatMissingData"] == "breaching"
    assert watch["Check"]["Properties"]["HealthCheckConfig"]["ResourcePath"] == {"Ref": "Path"}


def test_the_firewalls_answer_is_a_problem_of_the_contract() -> None:
    body = section("infra/firewall.yaml")["Acl"]["Properties"]["CustomResponseBodies"]["too-many-requests"]["Content"]
    problem = loads(body)
    kind = PROBLEM_TYPES[ProblemCode.TOO_MANY_REQUESTS]
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert (problem["code"], problem["status"], problem["title"]) == ("too_many_requests", kind.status, kind.title)


def test_the_firewall_shows_nobody_the_secret() -> None:
    acl = section("infra/firewall.yaml")["Acl"]["Properties"]
    samples = [acl["VisibilityConfig"], *(rule["VisibilityConfig"] for rule in [*RULES, FILES["Fn::If"][1]])]
    assert {each["SampledRequestsEnabled"] for each in samples} == {False}


def distribution() -> dict[str, Any]:
    properties: dict[str, Any] = section("infra/site.yaml")["Distribution"]["Properties"]["DistributionConfig"]
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


def test_the_brake_is_pulled_and_let_go_by_the_alarm_on_files_sent_to_s3() -> None:
    resources = deployed()
    alarm = resources["TooManyUploads"]["Properties"]
    # Not S3's own metrics of requests: they come late or never.
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Period"]) == ("AWS/SQS", "NumberOfMessagesSent", 60)
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["UploadsSeen", "QueueName"]}}]
    [counted] = resources["Uploads"]["Properties"]["NotificationConfiguration"]["QueueConfigurations"]
    assert counted == {"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["UploadsSeen", "Arn"]}}
    assert (alarm["Threshold"], alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (200, 1, 360)
    for actions in (alarm["AlarmActions"], alarm["OKActions"]):
        assert {"Fn::GetAtt": ["BrakeFunction", "Arn"]} in actions
    assert resources["BrakePermission"]["Properties"]["Principal"] == "lambda.alarms.cloudwatch.amazonaws.com"
    assert not [
        each for name, each in resources.items() if name.startswith(("Brake", "Uploads")) and "Condition" in each
    ]


def test_the_brake_may_attach_one_policy_to_one_role_which_denies_uploads() -> None:
    resources = deployed()
    [policy] = resources["BrakeFunctionRole"]["Properties"]["Policies"]
    [right] = policy["PolicyDocument"]["Statement"]
    assert right["Action"] == ["iam:AttachRolePolicy", "iam:DetachRolePolicy"]
    assert right["Resource"] == {"Fn::GetAtt": [ROLE, "Arn"]}
    assert right["Condition"] == {"ArnEquals": {"iam:PolicyARN": {"Ref": POLICY}}}
    [denied] = resources[POLICY]["Properties"]["PolicyDocument"]["Statement"]
    assert denied == {"Effect": "Deny", "Action": "s3:PutObject", "Resource": {"Fn::Sub": "${Uploads.Arn}/*"}}
    variables = resources["BrakeFunction"]["Properties"]["Environment"]["Variables"]
    assert variables == {"GATEWAY_ROLE": {"Ref": ROLE}, "POLICY": {"Ref": POLICY}}
    assert resources["GatewayFunction"]["Properties"]["Role"] == {"Fn::GetAtt": [ROLE, "Arn"]}


def alarms() -> dict[str, dict[str, Any]]:
    every = deployed() | section("infra/monitoring.yaml") | section("infra/watch.yaml")
    return of_type(every, "AWS::CloudWatch::Alarm")


def test_every_alarm_tells_somebody_and_names_a_paragraph_of_the_runbook() -> None:
    # Not a parameter of the test: this needs the SAM CLI, and so may only be asked while a test runs.
    assert len(alarms()) > 15
    runbook = (REPOSITORY / "docs/aws-runbook.md").read_text()
    paragraphs = {re.sub(r"[^a-z0-9]+", "-", line.lower()) for line in re.findall(r"^## (.*)$", runbook, re.MULTILINE)}
    named = set()
    for name, alarm in alarms().items():
        [topic] = [each["Ref"] for each in alarm["Properties"]["AlarmActions"] if "Ref" in each]
        assert topic in {"Alarms", "Notices"}, name
        [anchor] = re.findall(r"\. docs/aws-runbook\.md#([a-z0-9-]+)$", alarm["Properties"]["AlarmDescription"])
        assert anchor in paragraphs, name
        named.add(anchor)
    # What rolls back or cannot wait, and no more.
    now = {name for name, each in alarms().items() if {"Ref": "Alarms"} in each["Properties"]["AlarmActions"]}
    errors = {f"{part}Errors" for part in ("Gateway", "Internal", "Processor", "Authorizer", "Brake")}
    assert now == errors | {"TooManyUploads", "NotReady"}
    # No two of them look at one thing.
    looked_at = [
        str([each["Properties"].get(name) for name in ("Namespace", "MetricName", "Dimensions", "Metrics")])
        for each in alarms().values()
    ]
    # The firewalls of the API and of CloudFront have other dimensions.
    assert len(looked_at) == len(set(looked_at))


def test_two_deployments_in_one_account_share_no_metric_and_no_dashboard() -> None:
    variables = deployed()["GatewayFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}
    monitoring = section("infra/monitoring.yaml")
    assert deployed()["MonitoringStack"]["Properties"]["Parameters"]["ServiceName"] == {"Ref": "AWS::StackName"}
    assert monitoring["Dashboard"]["Properties"]["DashboardName"] == {"Fn::Sub": "${ServiceName}-${AWS::Region}"}
    body = monitoring["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = loads(body.replace("${", "{"))["widgets"]
    metrics = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
    own = [metric for metric in metrics if metric[0] == METRICS_NAMESPACE]
    assert own
    assert all(metric[2:4] == ["service", "{ServiceName}"] for metric in own)


def test_nobody_reaches_the_gateways_network_and_it_reaches_lambda_without_a_price() -> None:
    network = section("infra/network.yaml")
    (endpoint,) = of_type(network, "AWS::EC2::VPCEndpoint").values()
    # A gateway endpoint costs nothing. An interface endpoint takes money for each byte of an image.
    assert endpoint["Properties"]["VpcEndpointType"] == "Gateway"
    assert endpoint["Properties"]["ServiceName"] == {"Fn::Sub": "com.amazonaws.${AWS::Region}.dynamodb"}
    (route,) = of_type(network, "AWS::EC2::Route").values()
    assert route["Properties"]["EgressOnlyInternetGatewayId"] == {"Ref": "WayOut"}
    assert network["WayOut"]["Type"] == "AWS::EC2::EgressOnlyInternetGateway"
    egress = network["FunctionGroup"]["Properties"]["SecurityGroupEgress"]
    assert [(rule["FromPort"], rule.get("CidrIpv6", rule.get("CidrIp"))) for rule in egress] == [
        (443, "::/0"),
        (6379, network["Vpc"]["Properties"]["CidrBlock"]),
    ]
    [more] = of_type(network, "AWS::EC2::SecurityGroupEgress").values()
    assert more["Condition"] == endpoint["Condition"] == "JobsOn"
    function = deployed()["GatewayFunction"]["Properties"]
    assert function["VpcConfig"]["Fn::If"][1]["Ipv6AllowedForDualStack"] is True
    # Lambda's usual address has no IPv6.
    address = function["Environment"]["Variables"]["AWS_ENDPOINT_URL_LAMBDA"]
    assert address["Fn::If"] == ["CacheOn", {"Fn::Sub": "https://lambda.${AWS::Region}.api.aws"}, ""]


def test_the_gateways_role_may_use_the_endpoint_of_the_table() -> None:
    [statement] = section("infra/network.yaml")["TableEndpoint"]["Properties"]["PolicyDocument"]["Statement"]
    # https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html#vpc-endpoint-policies-gateway:
    # the ARN of an account would be its root user alone.
    assert statement["Principal"] == "*"
    assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
    [rights] = [
        each["Fn::If"][1]
        for policy in deployed()[ROLE]["Properties"]["Policies"]
        for each in policy["PolicyDocument"]["Statement"]
        if "dynamodb:" in str(each)
    ]
    assert (statement["Action"], statement["Resource"]) == (rights["Action"], {"Ref": "JobTable"})
