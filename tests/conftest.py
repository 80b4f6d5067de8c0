"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

SETTINGS_PREFIXES = (
    *("REDIS_", "MAX_", "ALLOWED_", "CACHE_", "APP_ENV", "FLASK_ENV", "SECRET_KEY", "POWERTOOLS_"),
    *("HOST", "PORT", "RELOAD", "UPLOAD_", "MINISTACK", "AWS_ENDPOINT_URL"),
)


@contextmanager
def running_server(**settings: str) -> Iterator[str]:
    """Run what `make run` runs, with `settings` in its environment, and yield its address. It must end cleanly."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_PREFIXES)}
    command = [sys.executable, "-m", "local_server"]
    environment = {**inherited, "PORT": "0", **settings}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first_line = process.stdout.readline()
            assert first_line.startswith("Image Intensity Service: http://"), first_line
            address = first_line.split()[3]
            # It listens before it says so, hence nothing to poll for; its log must not fill the pipe.
            with subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL):
                httpx.get(f"{address}/health").raise_for_status()
                yield address
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=15) == 0
        finally:
            process.kill()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a real local server with its embedded cache."""
    with running_server() as address:
        yield address


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[str]]:
    """Run servers with settings of the test's own: `with serve(MAX_CONTENT_LENGTH="1000") as address`."""
    return running_server
