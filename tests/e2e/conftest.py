"""The ways to run the service, each started once for all of its tests; or one that runs already: E2E_URL."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.compose import compose_up
from tests.e2e.engines import RUNS, deployed, sam_local
from tests.server import running_server
from tests.support import executable, missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.compose import Compose

GIVEN = os.environ.get("E2E_URL", "").rstrip("/")


@dataclass(frozen=True, slots=True)
class Engine:
    """Something that serves the API at `url`."""

    name: str
    url: str
    has_cache: bool = True
    # Of the local AWS, for further deployments.
    folder: Path | None = None


@pytest.fixture(scope="session")
def docker() -> None:
    """A Docker engine that answers; skips where there is none."""
    if subprocess.run([executable("docker"), "info"], capture_output=True, check=False).returncode:
        missing("a Docker engine that answers")


@pytest.fixture(scope="session")
def compose(docker: None) -> Iterator[Compose]:  # noqa: ARG001 - needed first
    """The service as `docker compose up --build` runs it."""
    with compose_up() as running:
        yield running


@pytest.fixture(scope="session", params=["given"] if GIVEN else ["make run", "compose", "sam local", "deployed"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Each way to run the service."""
    name: str = request.param
    if name == "given":
        yield Engine(name, GIVEN, has_cache=False)
    elif name == "make run":
        with running_server(WORKERS="") as server:
            yield Engine(name, server.address)
    elif name == "compose":
        yield Engine(name, request.getfixturevalue("compose").url)
    elif name == "sam local":
        request.getfixturevalue("docker")
        with sam_local() as url:
            yield Engine(name, url)
    else:
        request.getfixturevalue("docker")
        folder = tmp_path_factory.mktemp("engine")
        with deployed(folder, *RUNS) as url:
            yield Engine(name, url, folder=folder)
