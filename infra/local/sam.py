"""`make sam`: what `make build` has built, as `sam local` runs it, until Ctrl+C.

That is two programs of the SAM CLI, one for HTTP and one for the processor, and a cache and a storage in containers. If
Docker cannot start one of these, the service runs without it.
"""  # noqa: INP001

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from make_bucket import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
VALKEY = "valkey/valkey:8.1"
MINISTACK = "ministackorg/ministack:1.5.33"
MAKE_BUCKET = f"{REPOSITORY}/infra/local/make_bucket.py:/docker-entrypoint-initaws.d/ready.d/make_bucket.py:ro"
STORAGE = ("--env=SERVICES=s3", f"--volume={MAKE_BUCKET}", MINISTACK)
# This machine as containers see it, and the address at which programs listen for them.
HOST, LISTEN = ("172.17.0.1",) * 2 if sys.platform == "linux" else ("host.docker.internal", "127.0.0.1")
# The emulators take any keys, and the storage only forms that are signed for its region.
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


def main() -> None:
    """Run it until it is ended, or until one of the two programs ends by itself."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    port = os.environ.get("PORT") or "3000"
    with ExitStack() as stack:
        settings = Path(stack.enter_context(TemporaryDirectory())) / "settings.json"
        functions = free_port()
        cache = stack.enter_context(container("cache", 6379, VALKEY))
        storage = stack.enter_context(container("storage", 4566, *STORAGE))
        settings.write_text(json.dumps(variables(functions, cache, storage)))
        usual = ("--config-env", "local", "--env-vars", str(settings), "--port")
        stack.enter_context(sam("start-lambda", *usual, str(functions), "--host", LISTEN, "ProcessorFunction"))
        stack.enter_context(sam("start-api", *usual, port))
        print(f"http://127.0.0.1:{port} (Ctrl+C ends it)", flush=True)  # noqa: T201 - for a person
        os.wait()
        sys.exit("A program of the SAM CLI has ended; what it said is above.")


def variables(functions: int, cache: int, storage: int) -> dict[str, dict[str, str]]:
    """Return the environments of the functions. A port is 0 where there is none."""
    gateway = {
        "APP_ENV": "development",
        "PROCESSOR_FUNCTION_NAME": "ProcessorFunction",
        "AWS_ENDPOINT_URL_LAMBDA": f"http://{HOST}:{functions}",
        "REDIS_HOST": HOST if cache else "",
        "REDIS_PORT": str(cache or 6379),
        "UPLOAD_BUCKET": BUCKET if storage else "",
        # It signs forms for those who upload from this machine, and does not ask the storage itself.
        "AWS_ENDPOINT_URL_S3": f"http://{LISTEN}:{storage}",
    }
    return {"GatewayFunction": gateway, "ProcessorFunction": {"AWS_ENDPOINT_URL_S3": f"http://{HOST}:{storage}"}}


@contextmanager
def container(name: str, port: int, *arguments: str) -> Iterator[int]:
    """Run a container that listens on a port, and yield that on this machine; 0 if Docker cannot start it."""
    published = free_port()
    started = docker("run", "--detach", f"--publish={LISTEN}:{published}:{port}", *arguments)
    if started.returncode:
        print(f"Without a {name}: {started.stderr.strip()}", file=sys.stderr)  # noqa: T201 - for a person
    try:
        yield 0 if started.returncode else published
    finally:
        docker("rm", "--force", "--volumes", started.stdout.strip())


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607 - no shell


@contextmanager
def sam(*arguments: str) -> Iterator[None]:
    """Run `sam local`. Ended by SIGTERM, and by that alone, it takes its containers with it."""
    command = [str(REPOSITORY / ".venv-sam/bin/sam"), "local", *arguments]
    environment = {**os.environ, **KEYS, "SAM_CLI_TELEMETRY": "0"}
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, start_new_session=True) as process:  # noqa: S603 - no shell
        try:
            yield
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LISTEN, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
