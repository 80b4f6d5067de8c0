"""The hook before traffic, with the real gateway as the new version, and botocore's clients up to the network."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

import pre_traffic
from contract.problems import ProblemCode, ProblemError
from gateway.app import create_app
from gateway.http.rest_api import adapt
from gateway.log import make_logger
from gateway.measuring.cache import NoCache
from gateway.measuring.processor_client import Answer
from gateway.settings import Settings
from tests.gateway.driver import measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.invocation import Invocation

VERSION = "arn:aws:lambda:eu-central-1:123456789012:function:gateway:7"
EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "execution-1"}


class Processor:
    """Measures the probe, after it was busy for some invocations."""

    def __init__(self, *, intensity: float = 127.0, busy: int = 0) -> None:
        self.intensity = intensity
        self.busy = busy

    async def measure(self, invocation: Invocation) -> Answer:  # noqa: ARG002 - there is one
        self.busy -= 1
        if self.busy >= 0:
            raise ProblemError(ProblemCode.PROCESSOR_BUSY, "busy")
        return Answer(measurement(average_intensity=self.intensity))


class Aws:
    """Stands for botocore's session and both clients."""

    def __init__(self, handler: Callable[[dict[str, Any], Any], object]) -> None:
        self.handler = handler
        self.invoked: list[str] = []
        self.told: list[dict[str, str]] = []

    def create_client(self, _service: str) -> Aws:
        return self

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 - AWS's spelling
        self.invoked.append(FunctionName)
        answer = self.handler(json.loads(Payload), None)
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    def put_lifecycle_event_hook_execution_status(self, **told: str) -> None:
        self.told.append(told)


def gateway(processor: Processor) -> Callable[[dict[str, Any], Any], object]:
    settings = Settings.load({})
    logger = make_logger(settings)
    return adapt(create_app(settings, cache=NoCache(), processor=processor, logger=logger))


@pytest.fixture
def hook(
    monkeypatch: pytest.MonkeyPatch,
    event_loop_of_lambda: None,  # noqa: ARG001
) -> Callable[[Callable[[dict[str, Any], Any], object]], Aws]:
    """Runs the hook beside a new version, and returns what AWS has seen of it."""

    def run(version: Callable[[dict[str, Any], Any], object]) -> Aws:
        aws = Aws(version)
        monkeypatch.setattr(pre_traffic, "Session", lambda: aws)
        monkeypatch.setattr(pre_traffic, "PAUSE_SECONDS", 0)
        monkeypatch.setenv("GATEWAY_VERSION", VERSION)
        monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        pre_traffic.lambda_handler(EVENT, None)
        return aws

    return run


def told(status: str) -> list[dict[str, str]]:
    return [{"deploymentId": "d-1", "lifecycleEventHookExecutionId": "execution-1", "status": status}]


def test_a_version_that_measures_gets_traffic(hook: Callable[..., Aws]) -> None:
    aws = hook(gateway(Processor()))
    assert aws.told == told("Succeeded")
    assert aws.invoked == [VERSION]


def test_a_version_whose_processor_gives_the_wrong_number_gets_none(hook: Callable[..., Aws]) -> None:
    aws = hook(gateway(Processor(intensity=126.0)))
    assert aws.told == told("Failed")
    assert aws.invoked == [VERSION] * pre_traffic.TRIES


def test_a_processor_that_is_busy_is_asked_again(hook: Callable[..., Aws]) -> None:
    assert hook(gateway(Processor(busy=2))).told == told("Succeeded")
    assert hook(gateway(Processor(busy=3))).told == told("Failed")


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": 500, "body": "{}"},
        {"statusCode": 200, "body": "not JSON"},
        {"statusCode": 200, "body": "{}"},
        {"errorMessage": "Unable to import module", "errorType": "Runtime.ImportModuleError"},
        None,
    ],
)
def test_an_answer_that_is_not_ready_is_a_failure_and_never_silence(hook: Callable[..., Aws], answer: object) -> None:
    assert hook(lambda _event, _context: answer).told == told("Failed")


def test_a_lambda_that_does_not_answer_is_a_failure_too(hook: Callable[..., Aws]) -> None:
    def broken(_event: dict[str, Any], _context: object) -> object:
        raise TimeoutError

    assert hook(broken).told == told("Failed")
