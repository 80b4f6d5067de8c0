"""What those who operate a deployment look at and use: traces, saved queries, metrics, the domain, CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from gateway.http import request_log
from tests.aws.test_bounds import alarms, distribution
from tests.aws.translation import PARAMETERS, REPOSITORY, deployed, of_type, section
from tests.gateway.driver import Gateway

if TYPE_CHECKING:
    from pathlib import Path


def test_the_api_and_every_function_are_traced_and_the_api_is_logged_by_default() -> None:
    (stage,) = of_type(deployed(), "AWS::ApiGateway::Stage").values()
    assert stage["Properties"]["TracingEnabled"] is True
    assert stage["Properties"]["AccessLogSetting"]["Fn::If"][0] == "MonitoringOn"
    assert PARAMETERS["Monitoring"]["Default"] == "on"
    functions = of_type(deployed(), "AWS::Lambda::Function")
    assert len(functions) >= 5
    assert {each["Properties"]["TracingConfig"]["Mode"] for each in functions.values()} == {"Active"}


def test_the_saved_queries_ask_for_fields_that_the_log_has() -> None:
    gateway = Gateway()
    gateway.get("/nothing")
    [line] = gateway.log()
    gateway.close()
    queries = of_type(section("infra/monitoring.yaml"), "AWS::Logs::QueryDefinition")
    text = "\n".join(each["Properties"]["QueryString"] for each in queries.values())
    asked = set(re.findall(r"extra_info\.(\w+)", text))
    assert len(asked) >= 6
    assert asked <= line["extra_info"].keys()
    assert {"request_id", "message", "name"} <= line.keys()
    assert f'message = "{line["message"]}"' in text
    one = section("infra/monitoring.yaml")["OneRequest"]["Properties"]
    assert one["LogGroupNames"] == [{"Ref": "GatewayLogGroup"}, {"Ref": "ProcessorLogGroup"}]
    assert "request_id" in one["QueryString"]


def test_alarms_and_dashboard_look_at_metrics_that_the_gateway_sends() -> None:
    source = (REPOSITORY / "functions/gateway/gateway/http/request_log.py").read_text()
    sent = set(re.findall(r'add_metric\("(\w+)"', source)) | set(request_log.CACHE_METRICS.values())
    own = [each["Properties"] for each in alarms().values()]
    watched = {each["MetricName"] for each in own if each.get("Namespace") == request_log.METRICS_NAMESPACE}
    assert watched == {"CacheErrors", "InternalErrors"}
    assert watched <= sent
    body = section("infra/monitoring.yaml")["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = set(re.findall(r'"ImageIntensity", "(\w+)"', body)) | set(re.findall(r'"\.", "(Cache\w+)"', body))
    assert {"CacheHits", "CacheMisses", "ProcessorTime", "InternalErrors"} <= shown <= sent


def test_the_domain_and_its_certificate_are_cloudfronts() -> None:
    nothing = {"Ref": "AWS::NoValue"}
    assert distribution()["Aliases"] == {"Fn::If": ["DomainGiven", [{"Ref": "DomainName"}], nothing]}
    certificate = distribution()["ViewerCertificate"]["Fn::If"][1]
    assert certificate["AcmCertificateArn"] == {"Ref": "CertificateArn"}
    records = of_type(section("infra/site.yaml"), "AWS::Route53::RecordSet").values()
    assert {each["Properties"]["Type"] for each in records} == {"A", "AAAA"}
    assert {each["Properties"]["Name"]["Ref"] for each in records} == {"DomainName"}


def test_new_versions_of_the_secrets_change_what_has_them() -> None:
    variables = deployed()["GatewayFunction"]["Properties"]["Environment"]["Variables"]
    given, without = variables["SECRET_KEY"]["Fn::If"][1:]
    assert given["Fn::Sub"][1] == {"Version": {"Fn::Select": [0, {"Ref": "SecretVersions"}]}}
    assert "${Version}" not in without["Fn::Sub"]
    second = {"Fn::If": ["OriginSecretGiven", {"Fn::Select": [1, {"Ref": "SecretVersions"}]}, ""]}
    for stack in ("SiteStack", "FirewallStack"):
        assert deployed()[stack]["Properties"]["Parameters"]["OriginVersion"] == second
    # CloudFront takes minutes to change it: meanwhile the gateway believes the one before, too.
    both = variables["ORIGIN_SECRET"]["Fn::If"][1]["Fn::If"][1]["Fn::Sub"][0]
    new, old = both.split("},{")
    assert "SecretString:::${Version}" in new
    assert "SecretString:AWSPREVIOUS" in old


def test_the_gateway_knows_whether_anything_but_cloudfront_may_call_it() -> None:
    variables = deployed()["GatewayFunction"]["Properties"]["Environment"]["Variables"]
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
    assert "infra/pin.sh" in commands[0]
    assert commands[1].startswith("make deploy")
    assert commands[2].startswith("make e2e URL=")
    # Production is built on the base images that were tested.
    [pin] = [step for step in second["steps"] if "pin.sh" in step.get("run", "")]
    assert (pin["run"], pin["env"]["BASES"]) == ("sh infra/pin.sh $BASES", "${{ needs.default.outputs.bases }}")
    # Of a pipe, only this shell of GitHub's takes a failure of the first command for one.
    assert {step["shell"] for job in (first, second) for step in job["steps"] if "tee" in step.get("run", "")} == {
        "bash"
    }


@pytest.mark.parametrize("name", ["check", "deploy"])
def test_a_workflow_ends_keeps_no_credentials_and_names_actions_by_their_commit(name: str) -> None:
    workflow = yaml.safe_load((REPOSITORY / f".github/workflows/{name}.yml").read_text())
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        actions = [step for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in actions)
        [checkout] = [step for step in actions if step["uses"].startswith("actions/checkout@")]
        assert checkout["with"]["persist-credentials"] is False


def test_what_is_deployed_is_built_on_base_images_by_their_digest(tmp_path: Path) -> None:
    for folder in ("infra", "functions", "layers"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\necho "sha256:of-$6" | tr : -\n')
    docker.chmod(0o755)
    pin = ["sh", str(tmp_path / "infra/pin.sh")]
    environment = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"}
    printed = subprocess.run(pin, env=environment, capture_output=True, check=True, text=True).stdout
    assert printed.split() == [
        "python:3.13-slim@sha256-of-python-3.13-slim",
        "public.ecr.aws/lambda/python:3.13@sha256-of-public.ecr.aws/lambda/python-3.13",
    ]
    named = r"(python:3\.13\S*|public\.ecr\.aws/\S+)"
    for file in ("functions/processor/Dockerfile", "functions/gateway/Makefile", "layers/contract/Makefile"):
        found = re.findall(named, (tmp_path / file).read_text())
        assert found
        assert set(found) <= set(printed.split()), file
    # Where a digest cannot be looked up, nothing is deployed.
    docker.write_text("#!/bin/sh\nexit 1\n")
    assert subprocess.run(pin, env=environment, capture_output=True, check=False).returncode
