"""S3 on this machine, by MiniStack, for uploads above the inline limit.

In Compose, MiniStack's container runs this file when it has started, to make the bucket: it has botocore and no more.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_s3 import S3Client
    from types_boto3_s3.literals import BucketLocationConstraintType
    from types_boto3_s3.type_defs import CORSConfigurationTypeDef

BUCKET = "image-intensity-uploads"
REGION = "us-east-1"
# As in template.yaml. Forms are signed, so it does not matter what page sends them; to read or list is for no page.
CORS: CORSConfigurationTypeDef = {
    "CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["POST"], "AllowedHeaders": ["*"]}]
}
START_SECONDS = 30
STOP_SECONDS = 5


class StorageError(Exception):
    """MiniStack does not start; the message is one line that says why."""


@contextmanager
def running(program: str) -> Iterator[None]:
    """Run MiniStack's S3 on the loopback interface, and have the environment send gateway and processor to it.

    What was uploaded goes when it ends. Raises StorageError.
    """
    with TemporaryDirectory(prefix="image-intensity-") as folder:
        with socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        keys = {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(),
            "AWS_DEFAULT_REGION": REGION,
        }
        settings = {
            **keys,
            "PATH": os.environ.get("PATH", os.defpath),
            # Of all that is open in the browser, only who has a form may upload, and nobody may read.
            "AUTH": "true",
            "SERVICES": "s3",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            # In files, not in memory; with the file that names its process.
            "S3_PERSIST": "1",
            "S3_DATA_DIR": folder,
            "TMPDIR": folder,
            # A server for devices, on a fixed port.
            "IOT_MTLS_ENABLED": "0",
        }
        log = Path(folder, "log")
        with log.open("w") as output, start(program, settings, output) as process:
            try:
                wait_for(port, process, log)
                use({**keys, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"})
                prepare()
                os.environ["UPLOAD_BUCKET"] = BUCKET
                yield
            finally:
                stop(process)


def use(variables: dict[str, str]) -> None:
    """Set these variables. What else the environment has of AWS, such as a session's token, belongs to others."""
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION"):
        os.environ.pop(name, None)
    # Whatever proxy there is, it is not the way to this machine. Of both spellings this one wins.
    exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = f"{exceptions},127.0.0.1" if exceptions else "127.0.0.1"
    os.environ.update(variables)


def start(program: str, settings: dict[str, str], output: IO[str]) -> subprocess.Popen[bytes]:
    """Start MiniStack. Raises StorageError."""
    try:
        # In a session of its own: Ctrl+C is for the server, which still has requests to finish.
        return subprocess.Popen(  # noqa: S603 - the program that the settings name
            program, env=settings, stdout=output, stderr=output, start_new_session=True
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
    """Wait until MiniStack answers. Raises StorageError when it ends instead, or takes too long."""
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


def prepare() -> None:
    """Make the bucket, which pages of any origin may upload to, where the environment says. Raises StorageError."""
    try:
        s3 = cast("S3Client", Session().create_client("s3"))
        # After a restart it is there, and only its objects are what they were.
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            if s3.meta.region_name == REGION:
                s3.create_bucket(Bucket=BUCKET)
            else:
                region = cast("BucketLocationConstraintType", s3.meta.region_name)
                s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
        s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration=CORS)
    except (BotoCoreError, ClientError) as error:
        raise StorageError(str(error)) from error


if __name__ == "__main__":
    prepare()
