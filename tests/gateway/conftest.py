"""Fixtures of the gateway's tests."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gateway.measuring import redis_store as store_module
from tests.gateway.driver import FakeLambda, Gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from tests.gateway.driver import MakeGateway


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own environment reaches Powertools or boto3."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_LAMBDA", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture
def deployed(alone: None) -> None:
    """For tests of what a failing cache costs: its deadlines as they are on Lambda."""


@pytest.fixture(autouse=True)
def _patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere a cache may take its time: on a busy machine a good one can miss the deadline."""
    if "deployed" not in request.fixturenames:
        monkeypatch.setattr(store_module, "DEADLINE_SECONDS", 5)
        monkeypatch.setattr(store_module, "SOCKET_TIMEOUT_SECONDS", 5)


@pytest.fixture
def make_gateway() -> Iterator[MakeGateway]:
    """Make gateways with settings and fakes of the test's own."""
    made: list[Gateway] = []

    def make(**arguments: Any) -> Gateway:  # noqa: ANN401 - Gateway's own
        made.append(Gateway(**arguments))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> Gateway:
    """A gateway with default settings, a fake processor and a fake Redis."""
    return make_gateway()


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, event_loop_of_lambda: None) -> Iterator[Callable[..., ModuleType]]:  # noqa: ARG001
    """Import the handler anew, as a cold start with these variables does."""

    def cold_start(**variables: str) -> ModuleType:
        for name in ("APP_ENV", "SECRET_KEY", "REDIS_HOST", "ALLOWED_ORIGINS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delitem(sys.modules, "gateway.handler", raising=False)
        return importlib.import_module("gateway.handler")

    yield cold_start
    sys.modules.pop("gateway.handler", None)


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> FakeLambda:
    fake = FakeLambda()
    monkeypatch.setattr("gateway.measuring.processor_client.make_lambda_client", lambda: fake)
    return fake
