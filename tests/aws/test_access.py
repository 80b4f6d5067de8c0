"""Who may use the API: what the template says for each value of the parameter Access."""

from __future__ import annotations

import re
from typing import Any

import pytest

from authorizer.tokens import PUBLIC_KEY_ALGORITHMS
from tests.aws.translation import deployed, of_type
from tests.test_deployment import TEMPLATE

CONDITIONS = {"open": set[str](), "keys": {"KeysOn"}, "iam": {"IamOn"}, "jwt": {"JwtOn"}}
NOTHING = {"Ref": "AWS::NoValue"}


def decided(value: Any, true: set[str]) -> Any:  # noqa: ANN401 - any part of a template
    """A part of a template as CloudFormation makes it where these conditions hold."""
    if isinstance(value, list):
        return [decided(each, true) for each in value if decided(each, true) != NOTHING]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value:
        condition, yes, no = value["Fn::If"]
        return decided(yes if condition in true else no, true)
    parts = {name: decided(each, true) for name, each in value.items()}
    return {name: each for name, each in parts.items() if each != NOTHING}


def body(access: str) -> dict[str, Any]:
    """The API's description with this value of the parameter."""
    (api,) = of_type(deployed(), "AWS::ApiGateway::RestApi").values()
    described: dict[str, Any] = decided(api["Properties"]["Body"], CONDITIONS[access])
    return described


SCHEMES: dict[str, Any] = {"open": None, "keys": [{"api_key": []}], "iam": [{"sigv4": []}], "jwt": [{"jwt": []}]}


@pytest.mark.parametrize("access", SCHEMES)
def test_every_post_needs_what_the_parameter_says_and_nothing_else_needs_anything(access: str) -> None:
    methods = {
        (path, method): operation for path, item in body(access)["paths"].items() for method, operation in item.items()
    }
    assert {method for _, method in methods} == {"get", "head", "post", "put", "patch", "delete", "options"}
    for (_, method), operation in methods.items():
        assert operation.get("security") == (SCHEMES[access] if method == "post" else None)
        assert operation["x-amazon-apigateway-integration"]["type"] == "aws_proxy"


def test_the_schemes_are_those_that_api_gateway_knows() -> None:
    schemes = body("jwt")["components"]["securitySchemes"]
    assert schemes["api_key"] == {"type": "apiKey", "name": "x-api-key", "in": "header"}
    assert schemes["sigv4"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert schemes["jwt"]["x-amazon-apigateway-authtype"] == "custom"
    assert schemes["jwt"]["x-amazon-apigateway-authorizer"]["type"] == "token"


@pytest.mark.parametrize("access", ["open", "keys", "iam"])
def test_without_tokens_there_is_no_authorizer(access: str) -> None:
    assert "jwt" not in body(access)["components"]["securitySchemes"]
    resources = deployed()
    needing_it = {name for name, resource in resources.items() if name.startswith("Authorizer")}
    assert {"AuthorizerFunction", "AuthorizerPermission", "AuthorizerFunctionRole", "AuthorizerLogGroup"} == needing_it
    assert {resources[name]["Condition"] for name in needing_it} == {"JwtOn"}


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        *(("Bearer a-b_C.d.e", True), ("bearer a.b.c", True), ("", False), ("Bearer", False), ("Bearer a.b", False)),
        *(("Bearer a.b.", False), ("Basic a.b.c", False), ("Bearer a.b.c d", False), ("a.b.c", False)),
        ("Bearer a.b.c.d", False),
    ],
)
def test_what_has_not_the_form_of_a_token_is_refused_without_an_invocation(header: str, *, asked: bool) -> None:
    authorizer = body("jwt")["components"]["securitySchemes"]["jwt"]["x-amazon-apigateway-authorizer"]
    assert bool(re.fullmatch(authorizer["identityValidationExpression"], header)) is asked


def test_the_authorizer_is_not_in_the_vpc_which_has_no_way_to_the_issuer_and_only_api_gateway_may_ask_it() -> None:
    resources = deployed()
    assert "VpcConfig" not in resources["AuthorizerFunction"]["Properties"]
    assert "VpcConfig" in resources["GatewayFunction"]["Properties"]
    permission = resources["AuthorizerPermission"]["Properties"]
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["SourceArn"]["Fn::Sub"].endswith("${Api}/authorizers/*")


def test_another_value_of_access_reaches_the_stage_because_every_deployment_makes_a_snapshot() -> None:
    assert TEMPLATE["Resources"]["Api"]["Properties"]["AlwaysDeploy"] is True


def test_each_key_has_a_rate_and_a_quota_of_the_day_on_this_stage() -> None:
    plan = deployed()["UsagePlan"]
    assert plan["Condition"] == "KeysOn"
    assert plan["Properties"]["Quota"] == {"Limit": {"Ref": "KeyRequestsPerDay"}, "Period": "DAY"}
    assert plan["Properties"]["Throttle"] == {
        "RateLimit": {"Ref": "KeyRequestsPerSecond"},
        "BurstLimit": 20,
    }
    [stage] = plan["Properties"]["ApiStages"]
    [name] = of_type(deployed(), "AWS::ApiGateway::Stage")
    assert (stage["ApiId"], stage["Stage"]) == ({"Ref": "Api"}, {"Ref": name})
    # Of forms, each of which can be sent again and again, a key gets fewer.
    assert stage["Throttle"] == {"/uploads/POST": {"RateLimit": 0.2, "BurstLimit": 5}}


def test_tokens_are_signed_with_a_private_key() -> None:
    algorithms = deployed()["AuthorizerFunction"]["Properties"]["Environment"]["Variables"]["JWT_ALGORITHMS"]
    assert PUBLIC_KEY_ALGORITHMS.issuperset(algorithms.split(","))


@pytest.mark.parametrize(
    ("rule", "condition", "asserted"),
    [
        ("TokensHaveAnIssuerAndAnAudience", ["Access", "jwt"], [[["JwtIssuer", ""]], [["JwtAudience", ""]]]),
        # A signature is for the API's own address.
        ("SignaturesAreForTheApisOwnAddress", ["Access", "iam"], [["DirectAccess", "on"]]),
        ("ADomainHasACertificate", [["DomainName", ""]], [[["CertificateArn", ""]]]),
    ],
)
def test_a_parameter_needs_another(rule: str, condition: list[Any], asserted: list[Any]) -> None:
    found = TEMPLATE["Rules"][rule]
    assert found["RuleCondition"] == condition
    assert [each["Assert"] for each in found["Assertions"]] == asserted


def test_the_log_of_the_api_has_the_id_of_a_key_and_never_the_key() -> None:
    logged = TEMPLATE["Resources"]["Api"]["Properties"]["AccessLogSetting"][1]["Format"]
    assert '"api_key_id":"$context.identity.apiKeyId"' in logged
    assert 'identity.apiKey"' not in logged
    assert "Authorization" not in logged
    # A crash, a want of gateways and the firewall look different there.
    integration = ("integrationErrorMessage", "integration.status", "integration.latency")
    for field in (*integration, "wafResponseCode", "xrayTraceId"):
        assert f"$context.{field}" in logged
