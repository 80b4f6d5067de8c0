"""The processor Lambda as the gateway sees it: every way to fail has its documented code."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws
from PIL import Image

from contract.invocation import Invocation
from contract.problems import ProblemCode, ProblemError
from gateway.measuring import processor_client
from gateway.measuring.processor_client import (
    LAMBDA_PAYLOAD_BYTES,
    LambdaProcessor,
    TimeUsedUpError,
    make_lambda_client,
)
from gateway.measuring.redis_store import DEADLINE_SECONDS
from processor.handler import lambda_handler
from tests.gateway.driver import assert_problem, measurement
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.gateway.driver import Gateway, MakeGateway

TIMEOUT_SECONDS = 30


class Lambda(ThreadingHTTPServer):
    """Lambda's Invoke over HTTP, answering what the test says."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"{}"
        self.delay = 0.0
        self.cut = 0
        # So many of the first connections are closed without an answer.
        self.dead = 0
        self.compute: Callable[[dict[str, Any]], object] | None = None
        self.paths: list[str] = []
        self.events: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Invoke)

    def error(self, status: int, kind: str) -> None:
        """Refuse as AWS does."""
        self.status, self.headers = status, {"x-amzn-ErrorType": kind}
        self.body = json.dumps({"Type": "Service", "Message": "secret of the inside", "message": "likewise"}).encode()


class Invoke(BaseHTTPRequestHandler):
    server: Lambda

    def do_POST(self) -> None:
        server = self.server
        server.paths.append(self.path)
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.events.append(event)
        time.sleep(server.delay)
        if len(server.paths) <= server.dead:
            self.close_connection = True
            return
        body = json.dumps(server.compute(event)).encode() if server.compute else server.body
        self.send_response(server.status)
        for name, value in {**server.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) - server.cut])

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def function() -> Iterator[Lambda]:
    with Lambda() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(port: int, timeout: float = TIMEOUT_SECONDS) -> Any:  # noqa: ANN401 - boto3's client
    config = Config(read_timeout=timeout, connect_timeout=timeout, retries={"total_max_attempts": 1})
    return boto3.client("lambda", endpoint_url=f"http://127.0.0.1:{port}", config=config)


@pytest.fixture
def invoker(gateway: Gateway, function: Lambda) -> Iterator[LambdaProcessor]:
    connection = client(function.server_port)
    yield LambdaProcessor(connection, "image-intensity-processor", gateway.logger)
    connection.close()


def invocation(image: bytes) -> Invocation:
    return Invocation(image=image, allowed_formats=("PNG", "JPEG"), max_pixels=1000)


def problem(processor: LambdaProcessor, image: bytes = b"image") -> ProblemError:
    """What a measurement ends in. Nothing of the inside is in its detail."""
    with pytest.raises(ProblemError) as caught:
        processor.measure_now(invocation(image))
    for word in ("secret", "Exception", "Lambda", "127.0.0.1", "image-intensity-processor"):
        assert word not in caught.value.detail
    return caught.value


def png() -> bytes:
    file = BytesIO()
    Image.frombytes("RGB", (5, 3), bytes(range(45))).save(file, "PNG")
    return file.getvalue()


def test_the_measurement_is_what_the_processors_handler_computes(function: Lambda, invoker: LambdaProcessor) -> None:
    function.compute = lambda event: lambda_handler(event, None)
    image = png()
    measured = invoker.measure_now(invocation(image)).measurement
    expected = lambda_handler(function.events[0], None)
    assert measured.average_intensity == expected["measurement"]["average_intensity"]
    assert (measured.image_format, measured.image_size, measured.original_mode) == ("PNG", (5, 3), "RGB")
    assert (measured.pixel_count, measured.image_size_bytes) == (15, len(image))
    assert b64decode(function.events[0]["image"]) == image
    assert function.paths[0] == "/2015-03-31/functions/image-intensity-processor/invocations"


def test_the_limits_of_the_settings_go_along(make_gateway: MakeGateway, function: Lambda) -> None:
    function.compute = lambda event: lambda_handler(event, None)
    gateway = make_gateway()
    processor = LambdaProcessor(client(function.server_port), "other", gateway.logger)
    variables = {"ALLOWED_IMAGE_FORMATS": "JPEG", "MAX_IMAGE_PIXELS": "7"}
    assert_problem(make_gateway(variables=variables, processor=processor).upload(png()), 400, "unsupported_format")
    [event] = function.events
    assert (event["allowed_formats"], event["max_pixels"]) == (["JPEG"], 7)
    assert "/functions/other/" in function.paths[0]


@pytest.mark.parametrize("code", ["unsupported_format", "corrupt_image", "too_many_pixels"])
def test_a_problem_of_the_images_is_handed_on(function: Lambda, invoker: LambdaProcessor, code: str) -> None:
    function.body = json.dumps({"problem": {"code": code, "detail": "Row 7 is missing."}}).encode()
    handed_on = problem(invoker)
    assert (handed_on.code, handed_on.detail) == (code, "Row 7 is missing.")


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (429, "TooManyRequestsException", "processor_busy"),
        (502, "EC2ThrottledException", "processor_busy"),
        (502, "ENILimitReachedException", "processor_busy"),
        (502, "ResourceNotReadyException", "processor_busy"),
        (500, "ServiceException", "processor_failed"),
        (404, "ResourceNotFoundException", "processor_failed"),
        (403, "AccessDeniedException", "processor_failed"),
        (413, "RequestTooLargeException", "processor_failed"),
        (400, "InvalidRequestContentException", "processor_failed"),
        (503, "", "processor_failed"),
    ],
)
def test_a_refusal_of_lambdas_has_its_code_and_is_tried_once(
    function: Lambda, invoker: LambdaProcessor, status: int, kind: str, code: str
) -> None:
    function.error(status, kind)
    assert problem(invoker).code == code
    assert len(function.paths) == 1


def test_a_failure_is_told_in_the_log_alone(function: Lambda, invoker: LambdaProcessor, gateway: Gateway) -> None:
    function.error(500, "ServiceException")
    problem(invoker)
    [line] = gateway.log()
    assert (line["level"], line["message"]) == ("ERROR", "processor failed")
    assert "ServiceException" in line["error"]


def test_a_function_that_does_not_exist_is_a_failure(gateway: Gateway) -> None:
    with mock_aws():
        connection = boto3.client("lambda")
        assert (
            problem(LambdaProcessor(connection, "image-intensity-processor", gateway.logger)).code == "processor_failed"
        )
    assert "Function not found" in gateway.log()[0]["error"]


def test_no_answer_in_time_is_a_timeout(gateway: Gateway, function: Lambda) -> None:
    function.delay = 1
    connection = client(function.server_port, timeout=0.3)
    timeout = problem(LambdaProcessor(connection, "other", gateway.logger))
    assert timeout.code == "processor_timeout"
    # A slow network or a pause of the gateway may be the reason.
    assert not isinstance(timeout, TimeUsedUpError)
    connection.close()


def test_an_address_without_a_server_is_a_failure(gateway: Gateway) -> None:
    processor = LambdaProcessor(client(free_port()), "other", gateway.logger)
    assert problem(processor).code == "processor_failed"


def test_an_answer_that_breaks_off_is_a_failure(function: Lambda, invoker: LambdaProcessor) -> None:
    function.compute = lambda event: lambda_handler(event, None)
    function.cut = 10
    assert problem(invoker, png()).code == "processor_failed"


@pytest.mark.parametrize(
    ("report", "code"),
    [
        ({"errorMessage": "2026-11-22T00:00:00Z 0000 Task timed out after 25.00 seconds"}, "processor_timeout"),
        ({"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 0 Error: Task timed out"}, "processor_timeout"),
        ({"errorType": "Runtime.ExitError", "errorMessage": "signal: killed, secret"}, "processor_failed"),
        ({"errorType": "MemoryError", "errorMessage": "", "stackTrace": ["secret"]}, "processor_failed"),
    ],
)
def test_a_function_error_is_a_crash_or_a_timeout(
    function: Lambda, invoker: LambdaProcessor, report: dict[str, object], code: str
) -> None:
    function.headers = {"X-Amz-Function-Error": "Unhandled"}
    function.body = json.dumps(report).encode()
    reason = problem(invoker)
    assert reason.code == code
    assert isinstance(reason, TimeUsedUpError) == (code == "processor_timeout")


def answer(**different: Any) -> bytes:  # noqa: ANN401 - any value that JSON has
    usual = measurement()
    return json.dumps({"measurement": asdict(usual) | different}).encode()


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"null",
        b"7",
        b"[]",
        b'"problem"',
        b"not JSON",
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        b'{"measurement": null}',
        b'{"measurement": {}}',
        b'{"problem": null}',
        b'{"problem": "corrupt_image"}',
        b'{"problem": {"code": "corrupt_image"}}',
        b'{"problem": {"code": "never_heard_of", "detail": "x"}}',
        answer(average_intensity=None),
        answer(average_intensity=float("nan")),
        answer(average_intensity=255.5),
        answer(average_intensity=-1),
        answer(average_intensity="33"),
        answer(pixel_count=7),
        answer(image_size=[3]),
    ],
)
def test_an_answer_that_is_not_one_of_the_contract_is_a_failure(
    function: Lambda, invoker: LambdaProcessor, garbage: bytes
) -> None:
    function.body = garbage
    assert problem(invoker).code == "processor_failed"


def test_an_image_that_does_not_fit_into_an_invocation_is_too_large(function: Lambda, invoker: LambdaProcessor) -> None:
    function.body = answer()
    fits = LAMBDA_PAYLOAD_BYTES * 3 // 4 - 300
    assert invoker.measure_now(invocation(bytes(fits))).measurement == measurement()
    with pytest.raises(ProblemError) as caught:
        invoker.measure_now(invocation(bytes(fits + 300)))
    assert caught.value.code == "file_too_large"
    assert len(function.paths) == 1


@pytest.mark.parametrize("kind", ["right", "down", "wrong"])
def test_readiness_measures_an_image_by_the_processor(
    make_gateway: MakeGateway, function: Lambda, invoker: LambdaProcessor, kind: str
) -> None:
    wrong = {"measurement": measurement().to_json()}
    function.compute = lambda event: wrong if kind == "wrong" else lambda_handler(event, None)
    function.status = 500 if kind == "down" else 200
    response = make_gateway(processor=invoker).get("/health/ready")
    ready = {"status": "ready", "processor": "ok", "cache": "ok"}
    not_ready = {"status": "not_ready", "processor": "processor_failed", "cache": "ok"}
    assert (response.status_code, response.json()) == ((200, ready) if kind == "right" else (503, not_ready))


def test_the_real_client_gives_up_before_api_gateway_does_and_never_tries_twice() -> None:
    connection = make_lambda_client()
    config: Any = connection.meta.config
    connection.close()
    assert config.connect_timeout + config.read_timeout + 2 * DEADLINE_SECONDS < 29
    assert config.retries["total_max_attempts"] == 1


def test_the_endpoint_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:4566")
    connection = make_lambda_client()
    assert connection.meta.endpoint_url == "http://127.0.0.1:4566"
    connection.close()


@pytest.fixture
def impatient(gateway: Gateway, function: Lambda) -> Iterator[LambdaProcessor]:
    """The processor with the client of the gateway, and a function that measures."""
    function.compute = lambda event: lambda_handler(event, None)
    connection = make_lambda_client(f"http://127.0.0.1:{function.server_port}")
    yield LambdaProcessor(connection, "processor", gateway.logger)
    connection.close()


def test_a_connection_that_died_while_the_environment_was_frozen_costs_nothing(
    function: Lambda, impatient: LambdaProcessor
) -> None:
    function.dead = 1
    assert impatient.measure_now(invocation(png())).measurement.pixel_count == 15
    assert len(function.paths) == 2


def test_it_is_tried_again_only_once(function: Lambda, impatient: LambdaProcessor) -> None:
    function.dead = 2
    assert problem(impatient, png()).code == ProblemCode.PROCESSOR_FAILED
    assert len(function.paths) == 2


def test_a_connection_that_dies_under_way_is_not_tried_again(
    function: Lambda, impatient: LambdaProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_client, "DEAD_CONNECTION_SECONDS", 0.1)
    function.dead, function.delay = 1, 0.3
    assert problem(impatient, png()).code == ProblemCode.PROCESSOR_FAILED
    assert len(function.paths) == 1
