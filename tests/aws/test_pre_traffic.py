"""The hook before traffic, with the real gateway as the new version, and botocore's clients up to the network."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

import pre_traffic
from contract.problems import ProblemCode, ProblemError
from gateway.http.rest_api import adapt
from tests.gateway.driver import FakeProcessor, Gateway, measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.invocation import Invocation
    from gateway.measuring.processor_client import Answer

    Version = Callable[[dict[str, Any], Any], object]

VERSION = "arn:aws:lambda:eu-central-1:123456789012:function:gateway:7"
EVENT = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "execution-1"}


class Processor(FakeProcessor):
    """Measures the probe, after it was busy for some invocations."""

    def __init__(self, *, intensity: float = 127.0, busy: int = 0) -> None:
        super().__init__()
        self.answer = measurement(average_intensity=intensity)
        self.busy = busy

    async def measure(self, invocation: Invocation) -> Answer:
        self.busy -= 1
        if self.busy >= 0:
            raise ProblemError(ProblemCode.PROCESSOR_BUSY, "busy")
        return await super().measure(invocation)


class Aws:
    """Stands for botocore's session and both clients."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.invoked: list[str] = []
        self.told: list[dict[str, str]] = []

    def create_client(self, _service: str) -> Aws:
        return self

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 - AWS's spelling
        self.invoked.append(FunctionName)
        answer = self.version(json.loads(Payload), None)
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    def put_lifecycle_event_hook_execution_status(self, **told: str) -> None:
        self.told.append(told)


@pytest.fixture
def hook(
    monkeypatch: pytest.MonkeyPatch,
    event_loop_of_lambda: None,  # noqa: ARG001 - needed first
) -> Callable[[Version], tuple[str, list[str]]]:
    """Runs the hook beside a new version, and returns what it told CodeDeploy, and what it invoked."""

    def run(version: Version) -> tuple[str, list[str]]:
        aws = Aws(version)
        monkeypatch.setattr(pre_traffic, "Session", lambda: aws)
        monkeypatch.setattr(pre_traffic, "PAUSE_SECONDS", 0)
        monkeypatch.setenv("GATEWAY_VERSION", VERSION)
        monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        pre_traffic.lambda_handler(EVENT, None)
        [told] = aws.told
        status = told.pop("status")
        assert told == {"deploymentId": "d-1", "lifecycleEventHookExecutionId": "execution-1"}
        return status, aws.invoked

    return run


@pytest.mark.parametrize(
    ("processor", "status", "invocations"),
    [
        ({}, "Succeeded", 1),
        ({"intensity": 126.0}, "Failed", pre_traffic.TRIES),
        ({"busy": 2}, "Succeeded", 3),
        ({"busy": 3}, "Failed", pre_traffic.TRIES),
    ],
    ids=["measures", "wrong number", "busy at first", "busy"],
)
def test_a_version_gets_traffic_only_if_it_measures(
    hook: Callable[..., tuple[str, list[str]]], processor: dict[str, Any], status: str, invocations: int
) -> None:
    version = adapt(Gateway(with_cache=False, processor=Processor(**processor)).app)
    assert hook(version) == (status, [VERSION] * invocations)


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": 500, "body": "{}"},
        {"statusCode": 200, "body": "not JSON"},
        {"statusCode": 200, "body": "{}"},
        {"errorMessage": "Unable to import module", "errorType": "Runtime.ImportModuleError"},
        None,
        TimeoutError(),
    ],
)
def test_an_answer_that_is_not_ready_or_none_is_a_failure_and_never_silence(
    hook: Callable[..., tuple[str, list[str]]], answer: object
) -> None:
    def version(_event: dict[str, Any], _context: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert hook(version)[0] == "Failed"
