"""What those who operate a deployment look at and use: traces, saved queries, metrics, the domain, CI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gateway.http import request_log
from tests.aws.test_bounds import PARAMETERS, alarms, distribution, template
from tests.aws.translation import REPOSITORY, deployed, of_type
from tests.gateway.driver import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_api_and_every_function_are_traced() -> None:
    (stage,) = of_type(deployed(), "AWS::ApiGateway::Stage").values()
    assert stage["Properties"]["TracingEnabled"] is True
    functions = of_type(deployed(), "AWS::Lambda::Function")
    assert len(functions) >= 5
    assert {each["Properties"]["TracingConfig"]["Mode"] for each in functions.values()} == {"Active"}


def test_the_api_is_logged_by_default() -> None:
    assert PARAMETERS["ApiLogs"]["Default"] == "on"


@pytest.fixture
def line() -> Iterator[dict[str, Any]]:
    """A line of the gateway's log, of a request with a problem."""
    gateway = Gateway()
    gateway.get("/nothing")
    [line] = gateway.log()
    yield line
    gateway.close()


def test_the_saved_queries_ask_for_fields_that_the_log_has(line: dict[str, Any]) -> None:
    queries = of_type(template("monitoring.yaml"), "AWS::Logs::QueryDefinition")
    text = "\n".join(each["Properties"]["QueryString"] for each in queries.values())
    asked = set(re.findall(r"extra_info\.(\w+)", text))
    assert len(asked) >= 6
    assert asked <= line["extra_info"].keys()
    assert {"request_id", "message", "name"} <= line.keys()
    assert f'message = "{line["message"]}"' in text


def test_alarms_and_dashboard_look_at_metrics_that_the_gateway_sends() -> None:
    source = (REPOSITORY / "functions/gateway/gateway/http/request_log.py").read_text()
    sent = set(re.findall(r'add_metric\("(\w+)"', source))
    own = [each["Properties"] for each in alarms().values()]
    watched = {each["MetricName"] for each in own if each["Namespace"] == request_log.METRICS_NAMESPACE}
    assert watched == {"CacheErrors"}
    assert watched <= sent
    body = template("monitoring.yaml")["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = set(re.findall(r'"ImageIntensity", "(\w+)"', body)) | set(re.findall(r'"\.", "(Cache\w+)"', body))
    assert {"CacheHits", "CacheMisses", "ProcessorTime"} <= shown <= sent


def test_the_domain_and_its_certificate_are_cloudfronts() -> None:
    nothing = {"Ref": "AWS::NoValue"}
    assert distribution()["Aliases"] == {"Fn::If": ["DomainGiven", [{"Ref": "DomainName"}], nothing]}
    certificate = distribution()["ViewerCertificate"]["Fn::If"][1]
    assert certificate["AcmCertificateArn"] == {"Ref": "CertificateArn"}
    records = of_type(template("site.yaml"), "AWS::Route53::RecordSet").values()
    assert {each["Properties"]["Type"] for each in records} == {"A", "AAAA"}
    assert {each["Properties"]["Name"]["Ref"] for each in records} == {"DomainName"}


def test_a_new_version_of_the_secret_changes_the_function() -> None:
    variables = deployed()["GatewayFunction"]["Properties"]["Environment"]["Variables"]
    given, without = variables["SECRET_KEY"]["Fn::If"][1:]
    assert "${SecretVersion}" in given["Fn::Sub"]
    assert "${SecretVersion}" not in without["Fn::Sub"]


def test_the_gateway_knows_what_comes_through_cloudfront_and_whether_anything_else_may() -> None:
    variables = deployed()["GatewayFunction"]["Properties"]["Environment"]["Variables"]
    assert "${OriginSecret}" in variables["ORIGIN_SECRET"]["Fn::If"][1]["Fn::Sub"]
    assert variables["DIRECT_ACCESS"] == {"Fn::If": ["SiteOn", {"Ref": "DirectAccess"}, "on"]}


def test_ci_deploys_with_a_role_and_production_only_after_the_tests_against_the_new_stage() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/deploy.yml").read_text())
    assert workflow["permissions"] == {"contents": "read", "id-token": "write"}
    first, second = workflow["jobs"]["default"], workflow["jobs"]["prod"]
    assert second["needs"] == "default"
    for job in (first, second):
        [credentials] = [step for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
        assert credentials["with"]["role-to-assume"] == "${{ vars.AWS_ROLE }}"
    commands = [step["run"] for step in first["steps"] if "run" in step]
    assert commands[0].startswith("make deploy")
    assert commands[1].startswith("make e2e URL=")
    # Of a pipe, only this shell of GitHub's takes a failure of the first command for one.
    assert {step["shell"] for job in (first, second) for step in job["steps"] if "tee" in step.get("run", "")} == {
        "bash"
    }
