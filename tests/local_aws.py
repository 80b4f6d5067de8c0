"""A local AWS: MiniStack, as a process."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from tests.support import free_port, ministack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Before the first answer, containers may have to be started.
START_SECONDS = 120
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}


@contextmanager
def running_local_aws(folder: Path, **settings: str) -> Iterator[str]:
    """Run it with its files in `folder`, and yield its address."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", **KEYS}
    environment |= {"TMPDIR": str(folder), "IOT_MTLS_ENABLED": "0", **settings}
    with subprocess.Popen(
        [ministack()], env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/_ministack/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(url: str) -> None:
    """Wait until `url` answers with success."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(url, timeout=START_SECONDS).raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < end, f"{url} does not answer"
            time.sleep(0.1)
        else:
            return
