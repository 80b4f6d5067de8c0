"""Compose, started for the tests beside one that may be running already."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
# Longer than all queues and timeouts of the service together.
WAIT_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Compose:
    """A project of ours, under a name of its own: another checkout may be testing, too."""

    name: str
    port: int
    storage_port: int
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the page and the API are."""
        return f"http://127.0.0.1:{self.port}"

    def __call__(self, *arguments: str, **settings: str) -> str:
        """Run `docker compose` for this project, with these settings, and return what it prints."""
        ports = {"PORT": str(self.port), "STORAGE_PORT": str(self.storage_port)}
        run = subprocess.run(
            ["docker", "compose", "--project-name", self.name, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **ports, **self.settings, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def wait_for_cache(self) -> None:
        """Wait until the service answers, and uses its cache."""
        end = time.monotonic() + WAIT_SECONDS
        while not self.has_cache():
            assert time.monotonic() < end
            time.sleep(0.2)

    def has_cache(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/health/ready", timeout=WAIT_SECONDS)
        except httpx.TransportError:
            # The part that starts is the server of the page itself.
            return False
        return answer.is_success and bool(answer.json()["cache"] == "ok")


@contextmanager
def compose_up(*arguments: str, **settings: str) -> Iterator[Compose]:
    """Build and start everything, wait until all of it is healthy, and leave nothing behind.

    arguments: further ones of `docker compose up`. settings: variables of the environment.
    """
    compose = Compose(f"image-intensity-{uuid.uuid4().hex[:8]}", free_port(), free_port(), settings)
    try:
        compose("up", "--build", "--wait", *arguments)
        yield compose
    finally:
        compose("down", "--volumes", "--rmi", "local", "--timeout", "2")
