"""What template.yaml and its neighbours say again of the code must be what the code says."""

from __future__ import annotations

import re
from json import loads
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.problems import PROBLEM_TYPES, ProblemCode
from gateway.app import EXPOSED_HEADERS
from gateway.http.file import file_types
from gateway.http.security import HEADERS, page_policy
from gateway.measuring.direct_uploads import PREFIX
from gateway.measuring.processor_client import LAMBDA_PAYLOAD_BYTES, READ_TIMEOUT_SECONDS
from gateway.settings import Settings
from image_intensity import FORMATS
from local_server.access import ASK_FOR_KEY
from local_server.settings import LocalSettings
from tests.gateway.driver import Gateway
from tests.support import names

REPOSITORY = Path(__file__).parents[1]
# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
RESPONSE_TYPES = set(
    """ACCESS_DENIED API_CONFIGURATION_ERROR AUTHORIZER_CONFIGURATION_ERROR AUTHORIZER_FAILURE BAD_REQUEST_BODY
    BAD_REQUEST_PARAMETERS DEFAULT_4XX DEFAULT_5XX EXPIRED_TOKEN INTEGRATION_FAILURE INTEGRATION_TIMEOUT INVALID_API_KEY
    INVALID_SIGNATURE MISSING_AUTHENTICATION_TOKEN QUOTA_EXCEEDED REQUEST_TOO_LARGE RESOURCE_NOT_FOUND THROTTLED
    UNAUTHORIZED UNSUPPORTED_MEDIA_TYPE WAF_FILTERED""".split()  # noqa: SIM905 - as AWS lists them
)


class Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms as what stands behind them."""


def plain(loader: Loader, _tag: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return None


Loader.add_multi_constructor("!", plain)


def template(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((REPOSITORY / name).read_text(), Loader)  # noqa: S506 - a safe one
    return content


TEMPLATE = template("template.yaml")
RESOURCES = TEMPLATE["Resources"]
API = RESOURCES["Api"]["Properties"]
RESPONSES = API["GatewayResponses"]
# An !If, which SAM takes here only: the response with IAM, and the one without.
[_, *UNSIGNED] = API["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]["MISSING_AUTHENTICATION_TOKEN"]


def assert_is_the_contracts(status: int, headers: set[str], body: str, request_id: str) -> None:
    problem = loads(re.sub(r"\$\{\w+\}", "1", body))
    code = ProblemCode(problem["code"])
    assert problem["request_id"] == request_id
    assert problem["type"] == f"urn:image-intensity:problem:{code.value}"
    assert (problem["status"], problem["title"]) == (status, PROBLEM_TYPES[code].title)
    assert status == PROBLEM_TYPES[code].status
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert {"Access-Control-Allow-Origin", "X-Request-ID"} <= headers


# What would help who is refused, and the page's sign to ask for a key.
ASKED_FOR = {"INVALID_API_KEY": "'ApiKey'", "UNAUTHORIZED": "'Bearer'"}


@pytest.mark.parametrize("kind", sorted(RESPONSES))
def test_an_answer_of_api_gateways_own_is_a_problem_of_the_contract(kind: str) -> None:
    response = RESPONSES[kind]
    headers = response["ResponseParameters"]["Headers"]
    body = response["ResponseTemplates"]["application/json"]
    assert_is_the_contracts(int(response["StatusCode"]), set(headers), body, "$context.requestId")
    assert headers["Content-Type"] == "'application/problem+json'"
    assert headers["Access-Control-Expose-Headers"] == f"'{', '.join(EXPOSED_HEADERS)}'"
    assert ("Retry-After" in headers) == (response["StatusCode"] in {"429", "503"})
    assert headers.get("WWW-Authenticate") == ASKED_FOR.get(kind)
    # It has no limit in it, which a parameter could change.
    assert not re.search(r"\d", loads(body)["detail"])


@pytest.mark.parametrize("response", UNSIGNED, ids=["with IAM", "else"])
def test_the_answer_to_a_request_that_is_not_signed_is_a_problem_of_the_contract(response: dict[str, Any]) -> None:
    prefix = "gatewayresponse.header."
    headers = {name.removeprefix(prefix): value for name, value in response["responseParameters"].items()}
    body = response["responseTemplates"]["application/json"]
    assert_is_the_contracts(response["statusCode"], set(headers), body, "$context.requestId")
    assert headers["Access-Control-Expose-Headers"] == f"'{', '.join(EXPOSED_HEADERS)}'"


def test_every_answer_of_api_gateways_own_is_written_out_and_a_missing_key_has_the_same_elsewhere() -> None:
    assert {*RESPONSES, "MISSING_AUTHENTICATION_TOKEN"} == RESPONSE_TYPES
    refusal = RESPONSES["INVALID_API_KEY"]
    problem = loads(refusal["ResponseTemplates"]["application/json"])
    assert problem["detail"] == PROBLEM_TYPES[ProblemCode.FORBIDDEN].detail
    assert refusal["ResponseParameters"]["Headers"]["WWW-Authenticate"].strip("'") == ASK_FOR_KEY["WWW-Authenticate"]


NGINX = (REPOSITORY / "infra/local/nginx.conf").read_text()


def test_an_answer_of_nginxs_own_is_a_problem_of_the_contract() -> None:
    [(head, locations)] = re.findall(r"location /problems/ \{(.*?)(location = .*)", NGINX, re.DOTALL)
    headers = set(re.findall(r"add_header (\S+)", head))
    assert "application/problem+json" in head
    assert HEADERS.keys() | {"Retry-After"} <= headers
    assert f'"{", ".join(EXPOSED_HEADERS)}"' in head
    # A location with headers of its own would have none of these.
    assert "add_header" not in locations
    answers = re.findall(r"location = (/problems/\d+) \{\s*return (\d+) '(.*)';", locations)
    for path, status, body in answers:
        assert path == f"/problems/{status}"
        assert_is_the_contracts(int(status), headers, body, "$request_id")
    used = re.findall(r"error_page [\d ]+(?: =\d+)? (/problems/\d+);", NGINX)
    assert used == [path for path, _, _ in answers]
    assert len(used) == 8


def test_nginx_adds_the_headers_of_the_page_that_the_local_server_has() -> None:
    [location] = re.findall(r"location / \{(.*?)\}\n        location", NGINX, re.DOTALL)
    added = {name: value.strip('"') for name, value in re.findall(r"add_header (\S+) (.*);", location)}
    policy = page_policy("http://127.0.0.1:${STORAGE_PORT}")
    assert added == {"Content-Security-Policy": policy, **HEADERS, "Cache-Control": "no-cache"}


SETTINGS = {names(field)[0]: field for field in Settings.model_fields.values()}
FUNCTION_VARIABLES = RESOURCES["GatewayFunction"]["Properties"]["Environment"]["Variables"]
# The function has these, and they are not settings of ours.
FOREIGN = {f"AWS_ENDPOINT_URL_{service}" for service in ("LAMBDA", "S3")}
FOREIGN |= {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "RELEASE"}
# Nobody would change these on AWS.
AS_BY_DEFAULT = {"CACHE_TTL_SECONDS", "POWERTOOLS_LOG_LEVEL", "REFUSAL_TTL_SECONDS"}


def test_the_function_has_every_setting_of_the_gateway_and_no_other() -> None:
    difference = (set(FUNCTION_VARIABLES) - FOREIGN | AS_BY_DEFAULT) ^ SETTINGS.keys()
    assert not difference, f"template.yaml, GatewayFunction, Environment: {difference} (see gateway/settings.py)"


def parameter_of(variable: str) -> str:
    """The parameter that a variable of the function is set to: of an !If, what holds without the cache."""
    value = FUNCTION_VARIABLES[variable]
    return str(value[-1] if isinstance(value, list) else value)


# On AWS, the environment is production, and a request must fit into an invocation.
OWN_DEFAULTS = {"APP_ENV", "MAX_CONTENT_LENGTH"}
PARAMETERS = {name for name in FUNCTION_VARIABLES.keys() & SETTINGS if parameter_of(name) in TEMPLATE["Parameters"]}


@pytest.mark.parametrize("name", sorted(PARAMETERS - OWN_DEFAULTS))
def test_the_default_of_a_parameter_is_the_settings(name: str) -> None:
    default = SETTINGS[name].default
    expected = ",".join(default) if isinstance(default, tuple) else default
    parameter = parameter_of(name)
    assert TEMPLATE["Parameters"][parameter]["Default"] == expected, f"template.yaml, Parameters, {parameter}"


def test_the_template_knows_every_format() -> None:
    names = "|".join(FORMATS)
    assert TEMPLATE["Parameters"]["AllowedImageFormats"]["AllowedPattern"] == f"({names})(,({names}))*"
    # API Gateway would change the bytes of any other body.
    binary = RESOURCES["Api"]["Properties"]["BinaryMediaTypes"]
    assert binary == ["multipart/form-data", *file_types(FORMATS)]


COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
# Docker says where the gateway listens. The other two are for `make run`.
OF_MAKE_RUN = {"HOST", "PORT", "RELOAD", "WORKERS"}
# Compose has its own queue and records for jobs.
OF_AWS = {"JOB_FUNCTION_NAME", "JOB_TABLE"}


def test_every_setting_can_be_set_under_compose() -> None:
    environment = COMPOSE["services"]["gateway"]["environment"]
    local = {names(field)[0] for field in LocalSettings.model_fields.values()}
    missing = local - OF_MAKE_RUN - OF_AWS - set(environment)
    assert not missing, f"docker-compose.yml, services, gateway, environment: {missing} (see gateway/settings.py)"


def test_two_checkouts_can_run_compose_side_by_side() -> None:
    assert "name" not in COMPOSE
    for part in COMPOSE["services"].values():
        assert "container_name" not in part
        # What is built has the name of the project.
        assert ("image" in part) != ("build" in part)


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_no_part_of_compose_has_a_right_that_it_does_not_need(name: str) -> None:
    part = COMPOSE["services"][name]
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert part["read_only"] is True
    assert part["mem_limit"]
    assert part["pids_limit"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(part)
    for published in part.get("ports", []):
        assert re.match(r"(127\.0\.0\.1|\$\{HOST:-127\.0\.0\.1\}):", published)


def test_the_decoders_of_compose_share_a_network_with_the_gateway_and_the_storage_only() -> None:
    parts = COMPOSE["services"]
    assert COMPOSE["networks"]["decoding"]["internal"] is True
    for name in ("processor-1", "processor-2", "processor-jobs"):
        assert parts[name]["networks"] == ["decoding"]
    shared = {name for name, part in parts.items() if "decoding" in part.get("networks", [])}
    assert shared == {"processor-1", "processor-2", "processor-jobs", "gateway", "storage"}
    assert parts["redis"]["networks"] == ["cache"]


def test_the_gateways_user_of_the_cache_may_do_what_the_gateway_does_there() -> None:
    network = (REPOSITORY / "infra/network.yaml").read_text()
    [rights] = re.findall(r"AccessString: (.*)", network)
    assert {"+getrange", "+set"} <= {*rights.split()}
    assert "~intensity:*" in rights


def test_a_form_with_the_largest_image_fits_into_an_invocation() -> None:
    # API Gateway's headers and context around it take a few kilobytes.
    largest = TEMPLATE["Parameters"]["MaxContentLength"]["Default"]
    assert largest * 4 / 3 + 100_000 < LAMBDA_PAYLOAD_BYTES


def statements(function: str) -> list[tuple[str, str]]:
    """The actions of a function's role in S3, and on what."""
    # An !If is a list: its condition, and what holds with and without.
    entries = [each for policy in RESOURCES[function]["Properties"]["Policies"] for each in policy["Statement"]]
    every = [each for entry in entries for each in (entry if isinstance(entry, list) else [entry])]
    found = []
    for each in every:
        if isinstance(each, dict) and each["Effect"] == "Allow":
            actions = each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
            found += [(action, each["Resource"]) for action in actions if action.startswith(("s3:", "*"))]
    return found


def test_the_gateway_may_only_create_and_the_processor_only_read_uploads() -> None:
    assert statements("GatewayFunction") == [("s3:PutObject", f"${{Uploads.Arn}}/{PREFIX}*")]
    reading = [("s3:GetObject", f"${{Uploads.Arn}}/{PREFIX}*"), ("s3:ListBucket", "Uploads.Arn")]
    assert statements("ProcessorFunction") == statements("JobFunction") == reading


def test_uploads_are_private_encrypted_and_gone_after_a_day() -> None:
    bucket = RESOURCES["Uploads"]["Properties"]
    blocks = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"]
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(blocks, True)
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 1)
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    (denied,) = RESOURCES["UploadsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert denied == {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["Uploads.Arn", "${Uploads.Arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_pages_may_upload_to_the_bucket() -> None:
    (rule,) = RESOURCES["Uploads"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedMethods"] == ["POST"]
    policy = (REPOSITORY / "infra/site.yaml").read_text()
    assert re.search(r"connect-src 'self' \$\{UploadOrigin\};", policy)


def header_policies() -> dict[str, dict[str, Any]]:
    """The security headers that CloudFront adds, by the policy that has them."""
    resources = template("infra/site.yaml")["Resources"]
    return {
        name: resources[name]["Properties"]["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
        for name in ("PageHeaders", "ApiHeaders")
    }


def test_cloudfront_adds_the_security_headers_that_the_gateway_has() -> None:
    # The names of CloudFront's fields, and in which header each shows.
    assert HEADERS == {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }
    policies = header_policies()
    for added in policies.values():
        assert added["ContentTypeOptions"] == {"Override": True}
        assert added["FrameOptions"] == {"FrameOption": HEADERS["X-Frame-Options"], "Override": True}
        assert added["ReferrerPolicy"] == {"ReferrerPolicy": HEADERS["Referrer-Policy"], "Override": True}
        assert added["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000
    on_cloudfront = policies["PageHeaders"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    # Only there everything has HTTPS.
    assert on_cloudfront == page_policy("${UploadOrigin}") + "; upgrade-insecure-requests"
    # That of the documentation is the gateway's.
    assert "ContentSecurityPolicy" not in policies["ApiHeaders"]


def test_the_processor_gives_up_before_the_gateway_and_the_gateway_before_api_gateway() -> None:
    processor = RESOURCES["ProcessorFunction"]["Properties"]["Timeout"]
    gateway = RESOURCES["GatewayFunction"]["Properties"]["Timeout"]
    assert processor < READ_TIMEOUT_SECONDS < gateway <= 29


def test_cloudfront_leads_every_path_of_the_api_to_the_api() -> None:
    site = template("infra/site.yaml")["Resources"]["Distribution"]["Properties"]["DistributionConfig"]
    patterns = [behavior["PathPattern"].replace("*", ".*") for behavior in site["CacheBehaviors"]]
    paths = [*Gateway().app.openapi()["paths"], "/docs", "/openapi.json", "/docs/swagger-ui.css"]
    assert "/intensity" in paths
    for path in paths:
        assert any(re.fullmatch(pattern, path) for pattern in patterns), path
