"""S3 on this machine for uploads above the inline limit: MiniStack, started and ended with the server."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from local_server.bucket import FIRST_REGION, make_bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_s3 import S3Client

KEY = "local"
START_SECONDS = 30
STOP_SECONDS = 5
# Windows has no SIGHUP.
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class StorageError(Exception):
    """MiniStack does not start. The message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A running MiniStack: its port on the loopback interface, and the secret key that it accepts."""

    port: int
    secret: str = field(repr=False)

    def client(self, config: Config) -> S3Client:
        """Return a client for this storage. The AWS variables and proxies of the environment do not matter to it."""
        session = Session(session_vars={"profile": (None, None, None, None)})
        client = session.create_client(
            "s3",
            config=config.merge(Config(proxies={})),
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=FIRST_REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=self.secret,
        )
        return cast("S3Client", client)


@contextmanager
def running(program: str) -> Iterator[Storage]:
    """Run MiniStack's S3 on the loopback interface, with the bucket for uploads.

    Everything that was uploaded is deleted at the end. Raises StorageError.
    """
    with held_back() as release, TemporaryDirectory(prefix="image-intensity-") as folder:
        storage = Storage(free_port(), secrets.token_hex())
        log = Path(folder, "log")
        with log.open("w") as output, start(program, storage, folder, output) as process:
            try:
                release()
                wait_for(storage.port, process, log)
                prepare(storage)
                yield storage
            finally:
                stop(process)


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl+C, and other signals that end the server, until the yielded function is called.

    Without this, a signal that arrives while MiniStack is being started would leave MiniStack running.
    """
    held: list[int] = []
    usual = {number: signal.signal(number, lambda caught, _: held.append(caught)) for number in ENDING}

    def release() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)
        while held:
            signal.raise_signal(held.pop())

    try:
        yield release
    finally:
        release()


def free_port() -> int:
    """Return a port on the loopback interface that is free now."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start(program: str, storage: Storage, folder: str, output: IO[str]) -> subprocess.Popen[bytes]:
    """Start MiniStack for `storage`, with its files in `folder`. Raises StorageError."""
    variables = {
        "PATH": os.environ.get("PATH", os.defpath),
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": storage.secret,
        "AWS_DEFAULT_REGION": FIRST_REGION,
        # Other pages in the browser have neither a form nor the key. So they can neither upload nor read.
        "AUTH": "true",
        "SERVICES": "s3",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(storage.port),
        # In files and not in memory. The file with MiniStack's process id is in the same folder.
        "S3_PERSIST": "1",
        "S3_DATA_DIR": folder,
        "TMPDIR": folder,
        # This server would listen on a fixed port.
        "IOT_MTLS_ENABLED": "0",
    }
    try:
        # In a session of its own, so that Ctrl+C does not reach it: the server still has requests to finish.
        return subprocess.Popen(  # noqa: S603 - the program that the settings name
            program, env=variables, stdout=output, stderr=output, start_new_session=True
        )
    except OSError as error:
        raise StorageError(f"{program}: {error.strerror}") from error


def stop(process: subprocess.Popen[bytes]) -> None:
    """End MiniStack, by force if it does not end by itself."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until MiniStack answers. Raises StorageError if it ends instead, or takes too long."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            connection.getresponse()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    lines = log.read_text().splitlines() or ["it does not answer"]
    raise StorageError(lines[-1])


def prepare(storage: Storage) -> None:
    """Make the bucket. Raises StorageError."""
    try:
        make_bucket(storage.client(Config()))
    except (BotoCoreError, ClientError) as error:
        raise StorageError(str(error)) from error
