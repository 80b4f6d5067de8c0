"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.local_aws import KEYS, running_local_aws
from tests.server import running_server
from tests.support import BRIDGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


pytest_plugins = ["tests.side_by_side"]


def pytest_configure() -> None:
    """Have no proxy of the machine between the tests and the servers that they start here."""
    given = [os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY")]
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [*given, "localhost", "127.0.0.1", "::1", BRIDGE]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Sum by cause what was skipped: "9 skipped: LocalStack (make e2e installs it) is missing (5), …"."""
    causes = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    if causes:
        told = ", ".join(f"{cause} ({number})" for cause, number in causes.most_common())
        terminalreporter.write_line(f"{causes.total()} skipped: {told}")


@pytest.fixture(autouse=True)
def _a_logger_for_each_test() -> Iterator[None]:
    """A process has one logger of a name. The level, filters and stream of one test must not reach the next test."""
    yield
    logging.Logger.manager.loggerDict.pop("image-intensity", None)


@pytest.fixture
def event_loop_of_lambda() -> Iterator[None]:
    """The event loop that Mangum finds, for tests of the gateway's handler. It would leave one of its own open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a real local server with its embedded cache."""
    with running_server() as running:
        yield running.address


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[str]]:
    """Run servers with settings of the test's own: `with serve(MAX_CONTENT_LENGTH="1000") as address`."""

    @contextmanager
    def address(**settings: str) -> Iterator[str]:
        with running_server(**settings) as running:
            yield running.address

    return address


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a local AWS, which all tests of a process share."""
    with running_local_aws(tmp_path_factory.mktemp("ministack")) as address:
        yield address


@pytest.fixture
def aws(local_aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which boto3 and the AWS CLI ask the local AWS."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": local_aws}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
