"""LocalStack's S3: of those that run on one machine, the one that checks uploads as AWS does."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.e2e.engines import REPOSITORY, client
from tests.local_aws import wait_for
from tests.support import free_port, missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = REPOSITORY / ".venv-localstack/bin/python"
BUCKET = "uploads-of-the-tests"
ORIGIN = "https://page.example"


def settings(address: str) -> dict[str, str]:
    """What a server needs to use the bucket."""
    return {
        "UPLOAD_BUCKET": BUCKET,
        "AWS_ENDPOINT_URL_S3": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def s3_client(address: str) -> Any:  # noqa: ANN401 - boto3's
    """A client for what the service may not do, such as deleting."""
    return client(address, "s3", region_name="us-east-1")


@contextmanager
def running_localstack(folder: Path) -> Iterator[str]:
    """Run it with a bucket that has the rules of template.yaml for pages at `ORIGIN`, and yield its address."""
    if not PYTHON.exists():
        missing("LocalStack (make e2e installs it)")
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "FILESYSTEM_ROOT": str(folder),
        "SERVICES": "s3",
        "STRICT_SERVICE_LOADING": "1",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
    }
    command = [str(PYTHON), "-m", "localstack.runtime.main"]
    with subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/_localstack/health")
            s3 = s3_client(address)
            s3.create_bucket(Bucket=BUCKET)
            rule = {"AllowedOrigins": [ORIGIN], "AllowedMethods": ["POST"], "AllowedHeaders": ["*"]}
            s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [rule]})
            yield address
        finally:
            process.kill()
