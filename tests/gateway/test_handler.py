"""The Lambda handler, given what API Gateway's REST API sends it (tests/events)."""

from __future__ import annotations

import io
import json
import sys
from base64 import b64decode, b64encode
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from gateway.settings import SettingsError
from tests.gateway.driver import PROBLEM_MEMBERS, FakeLambda, measurement

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Handler = Callable[[dict[str, Any]], dict[str, Any]]
    Load = Callable[..., ModuleType]

EVENTS = Path(__file__).parents[1] / "events"
GATEWAYS_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


@pytest.fixture
def handler(load: Load, function: FakeLambda) -> Handler:
    """The handler of a warm function in production."""
    assert function.payloads == []
    variables = {"APP_ENV": "production", "SECRET_KEY": "own", "PROCESSOR_FUNCTION_NAME": "the-processor"}
    module = load(**variables)

    def call(event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = module.lambda_handler(event, None)
        # The Lambda runtime does the same.
        json.dumps(answer)
        return answer

    return call


def event(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return content


def assert_answer(answer: dict[str, Any], status: int, code: str | None = None) -> dict[str, Any]:
    """The answer is text with this status, and is a problem if a code is given; returns its body."""
    assert answer["statusCode"] == status
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["x-request-id"]
    body: dict[str, Any] = json.loads(answer["body"])
    if code:
        assert answer["headers"]["content-type"] == "application/problem+json"
        assert list(body) == PROBLEM_MEMBERS
        assert (body["code"], body["status"]) == (code, status)
        assert body["request_id"] == answer["headers"]["x-request-id"]
    else:
        assert answer["headers"]["content-type"] == "application/json"
    return body


def test_an_image_is_measured(handler: Handler, function: FakeLambda) -> None:
    answer = handler(event("post_image"))
    body = assert_answer(answer, 200)
    assert body["average_intensity"] == measurement().average_intensity
    assert body["filename"] == "gray.png"
    assert body["request_id"] == answer["headers"]["x-request-id"] == GATEWAYS_ID
    assert answer["headers"]["access-control-allow-origin"] == "*"
    assert answer["headers"]["x-cache"] == "bypass"
    [payload] = function.payloads
    assert payload["function"] == "the-processor"
    assert payload["image"].startswith(b64encode(b"\x89PNG\r\n\x1a\n").decode()[:10])


def sent_with(event: dict[str, Any], **headers: str) -> dict[str, Any]:
    """The event with these headers in place of its own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {**event, "headers": named, "multiValueHeaders": {name: [value] for name, value in named.items()}}


def test_the_callers_own_id_goes_before_api_gateways(handler: Handler) -> None:
    answer = handler(event("post_image_own_request_id"))
    assert answer["headers"]["x-request-id"] == "callers-own.1"


def test_two_ids_and_one_that_is_not_well_formed_give_way_to_api_gateways(handler: Handler) -> None:
    for sent in (event("post_two_request_ids"), sent_with(event("get_health"), X_Request_ID="a\nb")):
        assert handler(sent)["headers"]["x-request-id"] == GATEWAYS_ID


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("post_without_body", 400, "missing_image"),
        ("post_text_body", 400, "malformed_request"),
        ("post_unknown_query", 400, "malformed_request"),
        ("get_not_found", 404, "not_found"),
        ("get_method_not_allowed", 405, "method_not_allowed"),
    ],
)
def test_a_problem_is_text_with_its_media_type(handler: Handler, name: str, status: int, code: str) -> None:
    answer = handler(event(name))
    assert_answer(answer, status, code)
    assert answer["headers"]["x-request-id"] == GATEWAYS_ID
    assert answer["headers"]["access-control-allow-origin"] == "*"


def test_repeated_and_non_ascii_query_parameters_are_named(handler: Handler) -> None:
    sent = event("post_unknown_query")
    body = assert_answer(handler(sent), 400, "malformed_request")
    assert "näme" in body["detail"]
    repeated = {name: values for name, values in sent["multiValueQueryStringParameters"].items() if name == "luma"}
    body = assert_answer(handler({**sent, "multiValueQueryStringParameters": repeated}), 400, "malformed_request")
    assert "luma" in body["detail"]


def test_health_is_answered_without_the_processor(handler: Handler, function: FakeLambda) -> None:
    assert assert_answer(handler(event("get_health")), 200)["status"] == "ok"
    assert function.payloads == []


def test_a_preflight_is_answered(handler: Handler) -> None:
    answer = handler(event("options_preflight"))
    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["access-control-allow-origin"] == "*"
    assert "POST" in answer["headers"]["access-control-allow-methods"]
    assert "X-Request-ID" in answer["headers"]["access-control-allow-headers"]


@pytest.mark.parametrize(
    ("context", "caller"),
    [
        ({}, None),
        ({"identity": {"apiKeyId": "k3y1d", "apiKey": "THE-KEY"}}, "k3y1d"),
        ({"authorizer": {"principalId": "client-7", "integrationLatency": 3}}, "client-7"),
        ({"identity": {"userArn": "arn:aws:iam::123456789012:user/alice"}}, "arn:aws:iam::123456789012:user/alice"),
    ],
    ids=["anyone", "key", "token", "IAM"],
)
def test_the_log_says_whom_api_gateway_let_in_and_has_no_secret(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, context: dict[str, Any], caller: str | None
) -> None:
    output = io.StringIO()
    for log_handler in sys.modules["gateway.handler"].logger.handlers:
        monkeypatch.setattr(log_handler, "stream", output)
    sent = sent_with(event("get_health"), X_API_Key="THE-KEY")
    sent["requestContext"]["identity"] |= context.pop("identity", {})
    sent["requestContext"] |= context
    handler(sent)
    line = json.loads(output.getvalue())
    assert line["request_id"] == GATEWAYS_ID
    assert line["extra_info"].get("caller") == caller
    assert (line["extra_info"]["ip"], line["extra_info"]["path"]) == ("198.51.100.23", "/health")
    assert "THE-KEY" not in output.getvalue()


def form_of_text(content: str, more: str = "") -> dict[str, Any]:
    """An event with a form that API Gateway took for text, as it does with a media type that it does not know."""
    sent = event("post_image")
    boundary = sent["headers"]["Content-Type"].partition("boundary=")[2]
    disposition = 'Content-Disposition: form-data; name="image"; filename="\N{SNOWMAN}.png"'
    text = f"--{boundary}\r\n{disposition}\r\n{more}\r\n{content}\r\n--{boundary}--\r\n"
    return {**sent, "body": text, "isBase64Encoded": False}


def test_a_form_of_text_is_an_error_where_bytes_were_lost_and_need_not_be_base64(
    handler: Handler, function: FakeLambda
) -> None:
    assert_answer(handler(form_of_text("\N{REPLACEMENT CHARACTER}PNG\r\n")), 400, "malformed_request")
    assert function.payloads == []
    encoded = b64encode("\N{REPLACEMENT CHARACTER}".encode()).decode()
    for sent in (form_of_text("\N{SNOWMAN}"), form_of_text(encoded, "Content-Transfer-Encoding: base64\r\n")):
        assert assert_answer(handler(sent), 200)["filename"] == "\N{SNOWMAN}.png"
    assert [payload["image"] for payload in function.payloads] == [b64encode("\N{SNOWMAN}".encode()).decode(), encoded]


@pytest.mark.parametrize(
    "signature",
    [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\xf0\x9f\xff\0WEBP", b"RIFF$\0\0\0WEBP", b"II*\0", b"MM\0*"],
)
@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "image/*", "image/jpg"])
@pytest.mark.parametrize("bucket", ["", "bucket"])
def test_an_image_that_api_gateway_took_for_text_is_not_blamed(
    load: Load, function: FakeLambda, signature: bytes, content_type: str | None, bucket: str
) -> None:
    sent = sent_with(event("post_image"), **({"Content_Type": content_type} if content_type else {}))
    text = (signature + b"\xff\xfe" * 20).decode(errors="replace")
    module = load(SECRET_KEY="own", UPLOAD_BUCKET=bucket)
    answer = module.lambda_handler({**sent, "body": text, "isBase64Encoded": False}, None)
    detail = assert_answer(answer, 400, "malformed_request" if content_type else "missing_image")["detail"]
    assert "API Gateway takes that for text" in detail
    assert "with the Content-Type image/jpeg, image/png or application/octet-stream" in detail
    assert "Nothing was sent" not in detail
    assert function.payloads == []


def test_a_text_that_is_compressed_is_told_so(handler: Handler) -> None:
    sent = sent_with(event("post_image"), Content_Type="text/plain", Content_Encoding="gzip")
    answer = handler({**sent, "body": "\x1f\ufffd\b", "isBase64Encoded": False})
    assert_answer(answer, 415, "unsupported_encoding")


SPOILS = ["line break", "surplus", "missing padding", "other alphabet", "not ASCII", "text", "empty", "null"]


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_body_that_is_not_base64_is_malformed(handler: Handler, function: FakeLambda, spoil: str) -> None:
    body: str = event("post_image")["body"]
    assert body.endswith("=")
    spoiled = {
        "line break": f"{body[:76]}\r\n{body[76:]}",
        "surplus": f"{body}{body}",
        "missing padding": body.rstrip("="),
        "other alphabet": f"{body[:76]}-_{body[78:]}",
        "not ASCII": f"é{body[1:]}",
        "text": b64decode(body).decode(errors="replace"),
        "empty": "",
        "null": None,
    }
    answer = handler({**event("post_image"), "body": spoiled[spoil]})
    assert_answer(answer, 400, "malformed_request")
    assert answer["headers"]["x-request-id"] == GATEWAYS_ID
    assert answer["headers"]["access-control-allow-origin"] == "*"
    assert function.payloads == []


@pytest.mark.parametrize("host", ["[::1]:3000", "a:b:c", "api.example:", "api.example:port", ""])
@pytest.mark.parametrize("port", ["443", "443, 443", "none"])
def test_an_odd_address_is_no_concern_of_ours(handler: Handler, host: str, port: str) -> None:
    odd = event("post_image")
    for name, value in (("Host", host), ("X-Forwarded-Port", port)):
        odd["headers"][name], odd["multiValueHeaders"][name] = value, [value]
    assert_answer(handler(odd), 200)


def changed(**different: object) -> dict[str, Any]:
    return {**deepcopy(event("get_health")), **different}


HALF = "\ud800"


# Events of the console's test feature, of a private API, and of a proxy before API Gateway; and halves of characters.
@pytest.mark.parametrize(
    ("different", "status"),
    [
        ({"headers": None, "multiValueHeaders": None}, 200),
        ({"multiValueQueryStringParameters": {}, "queryStringParameters": {}}, 200),
        ({"body": ""}, 200),
        ({"requestContext": {"identity": {"sourceIp": "test-invoke-source-ip"}}}, 200),
        ({"requestContext": {"identity": None, "authorizer": None}}, 200),
        ({"requestContext": {}}, 200),
        ({"requestContext": None}, 200),
        ({"queryStringParameters": {"a": HALF}, "multiValueQueryStringParameters": {"a": [HALF]}}, 200),
        ({"queryStringParameters": {HALF: "a"}, "multiValueQueryStringParameters": None}, 200),
        ({"path": f"/{HALF}"}, 404),
        ({"headers": {HALF: HALF}, "multiValueHeaders": {"X-Half": [HALF]}}, 200),
        ({"requestContext": {"authorizer": {"principalId": HALF}}}, 200),
    ],
    ids=ascii,
)
def test_an_unusual_event_is_answered(
    handler: Handler, capsys: pytest.CaptureFixture[str], different: dict[str, Any], status: int
) -> None:
    answer = handler(changed(**different))
    assert_answer(answer, status, "not_found" if status == 404 else None)
    if "requestContext" in different:
        # API Gateway has given none.
        assert UUID(answer["headers"]["x-request-id"])
    # pytest takes what is logged, too.
    assert "Traceback" not in "".join(capsys.readouterr())


def test_half_a_character_in_an_option_is_refused(handler: Handler) -> None:
    half = {"queryStringParameters": {"luma": HALF}, "multiValueQueryStringParameters": {"luma": [HALF]}}
    detail = assert_answer(handler({**event("post_image"), **half}), 400, "malformed_request")["detail"]
    assert detail.startswith("The query parameter luma cannot be '?': ")


BASE_PATHS = {
    "/v1/images/health": ("/{proxy+}", {"proxy": "health"}, 200),
    "/health/health": ("/{proxy+}", {"proxy": "health"}, 200),
    "/health": ("/{proxy+}", None, 200),
    "/health/": ("/{proxy+}", {"proxy": "health"}, 404),
    "/v1/uploads": ("/uploads", None, 405),
    "/v1": ("/", None, 307),
    "/v1/": ("/", None, 307),
}


@pytest.mark.parametrize("path", BASE_PATHS)
def test_the_base_path_of_a_custom_domain_is_no_part_of_the_path(handler: Handler, path: str) -> None:
    resource, parameters, status = BASE_PATHS[path]
    variables = {"page": "https://d1.cloudfront.net"}
    answer = handler(changed(path=path, resource=resource, pathParameters=parameters, stageVariables=variables))
    assert answer["statusCode"] == status


@pytest.mark.parametrize(
    "sent",
    [
        {},
        None,
        {"warmup": True},
        {"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "resources": []},
    ],
)
def test_an_event_that_is_no_request_is_no_error(load: Load, sent: object) -> None:
    assert load().lambda_handler(sent, None) is None


def test_a_warm_function_answers_again_and_again(handler: Handler, function: FakeLambda) -> None:
    for _ in range(3):
        assert_answer(handler(event("post_image")), 200)
    assert len(function.payloads) == 3


def test_a_fault_is_a_problem_and_no_error_of_the_function(
    handler: Handler, function: FakeLambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(function, "invoke", crash)
    assert_answer(handler(event("post_image")), 500, "internal_error")


def test_a_setting_that_cannot_work_stops_the_start(load: Load, function: FakeLambda) -> None:
    with pytest.raises(SettingsError, match=r"^SECRET_KEY: "):
        load(APP_ENV="production")
    assert function.payloads == []


def test_the_root_leads_to_the_page_where_the_stage_says_where_that_is(
    handler: Handler,
) -> None:
    root = {**event("get_health"), "path": "/", "resource": "/"}
    assert handler(root)["statusCode"] == 404
    answer = handler({**root, "stageVariables": {"page": "https://d1.cloudfront.net"}})
    assert answer["statusCode"] == 307
    assert answer["headers"]["location"] == "https://d1.cloudfront.net"


# The icon is a file of the page, which CloudFront has.
DOCUMENTS = {
    "/docs": 200,
    "/docs/start.js": 200,
    "/docs/swagger-ui.css": 200,
    "/docs/swagger-ui-bundle.js": 200,
    "/openapi.json": 200,
    "/favicon.svg": 404,
}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_no_answer_is_compressed_or_binary_because_api_gateway_would_send_it_as_base64(
    handler: Handler, path: str
) -> None:
    answer = handler({**sent_with(event("get_health"), Accept_Encoding="gzip"), "path": path})
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (DOCUMENTS[path], False)
    assert "content-encoding" not in answer["headers"]
    assert len(answer["body"]) > 100
