"""S3 on this machine, by MiniStack, for uploads above the inline limit. Standard library only: Compose runs it as well.

There, MiniStack's container runs this file when it has started, to make the bucket.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from socket import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "image-intensity-uploads"
# As template.yaml has it for AWS: a form is signed and says all, so who sends it from where does not matter.
CORS = b"""<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>POST</AllowedMethod>
<AllowedHeader>*</AllowedHeader></CORSRule></CORSConfiguration>"""
START_SECONDS = 30


class StorageError(Exception):
    """MiniStack does not start."""


@contextmanager
def running(program: str) -> Iterator[str]:
    """Run MiniStack's S3 on the loopback interface and yield its address; what was uploaded goes with it."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="image-intensity-") as folder:
        settings = {
            **os.environ,
            "SERVICES": "s3",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            # In files, not in memory.
            "S3_PERSIST": "1",
            "S3_DATA_DIR": folder,
            # A server for devices, on a fixed port.
            "IOT_MTLS_ENABLED": "0",
        }
        with subprocess.Popen(  # noqa: S603 - the program that the settings name
            program,
            env=settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Of its own: Ctrl+C is for the server, which still has requests to finish.
            start_new_session=True,
        ) as process:
            try:
                address = f"http://127.0.0.1:{port}"
                wait_for(address, process)
                prepare(address)
                yield address
            finally:
                process.kill()


def environment(address: str) -> dict[str, str]:
    """Return what sends the gateway's and the processor's S3 client to MiniStack, which takes any key."""
    return {
        "UPLOAD_BUCKET": BUCKET,
        "AWS_ENDPOINT_URL_S3": address,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until MiniStack answers. Raises StorageError when it ends instead, or takes too long."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{address}/_ministack/health", timeout=5).close()  # noqa: S310 - our own address
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise StorageError("MiniStack, which stores large uploads, does not start")


def prepare(address: str) -> None:
    """Make the bucket, which pages of any origin may upload to."""
    for query, body in (("", b""), ("?cors", CORS)):
        request = urllib.request.Request(f"{address}/{BUCKET}{query}", body, method="PUT")  # noqa: S310 - as above
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - as above


if __name__ == "__main__":
    prepare(os.environ["AWS_ENDPOINT_URL"])
