"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.server import running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


pytest_plugins = ["tests.side_by_side"]


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
