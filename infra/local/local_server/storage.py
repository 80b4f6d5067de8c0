"""S3 on this machine for uploads above the inline limit: MiniStack, started and ended with the server."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection
from socket import socket
from typing import TYPE_CHECKING, cast

from local_server.bucket import FIRST_REGION, make_bucket

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path

    from botocore.config import Config
    from types_boto3_s3 import S3Client

    from local_server.children import Children

KEY = "local"
START_SECONDS = 30
PROBE_SECONDS = 0.05


class StorageError(Exception):
    """MiniStack does not start. The message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A MiniStack: its port on the loopback interface, and the secret key that it accepts."""

    port: int
    secret: str = field(repr=False)

    @property
    def address(self) -> str:
        """Where it is, for clients on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, config: Config | None = None) -> S3Client:
        """Return a client for this storage. The AWS variables and proxies of the environment do not matter to it."""
        # Not at the top of the file: loading it takes longer than all else that the parent of a run does at its start.
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        session = Session(session_vars={"profile": (None, None, None, None)})
        client = session.create_client(
            "s3",
            config=(config or Config()).merge(Config(proxies={})),
            endpoint_url=self.address,
            region_name=FIRST_REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=self.secret,
        )
        return cast("S3Client", client)


def new_storage() -> Storage:
    """Return a storage that is still to be started, at a port that is free now."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Storage(probe.getsockname()[1], secrets.token_hex())


async def start(program: str, storage: Storage, children: Children, folder: Path) -> Process:
    """Start MiniStack for `storage`, with its files in `folder`, which exists. Raises StorageError."""
    variables = {
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
        "S3_DATA_DIR": str(folder),
        "TMPDIR": str(folder),
        # This server would listen on a fixed port.
        "IOT_MTLS_ENABLED": "0",
    }
    try:
        with (folder / "log").open("w") as log:
            return await children.start(program, variables=variables, stdout=log, stderr=log)
    except OSError as error:
        raise StorageError(f"{program}: {error.strerror}") from error


async def prepare(storage: Storage, process: Process, folder: Path) -> None:
    """Wait until MiniStack answers, and make the bucket. Raises StorageError if it ends instead, or takes too long."""
    end = time.monotonic() + START_SECONDS
    while not await asyncio.to_thread(answers, storage.port):
        if process.returncode is not None or time.monotonic() > end:
            lines = (folder / "log").read_text().splitlines() or ["it does not answer"]
            raise StorageError(lines[-1])
        await asyncio.sleep(PROBE_SECONDS)
    await asyncio.to_thread(prepare_bucket, storage)


def prepare_bucket(storage: Storage) -> None:
    """Make the bucket. Raises StorageError."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    try:
        make_bucket(storage.client())
    except (BotoCoreError, ClientError) as error:
        raise StorageError(str(error)) from error


def answers(port: int) -> bool:
    """Return whether MiniStack answers at the port. Blocks for at most a second."""
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/_ministack/health")
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True
