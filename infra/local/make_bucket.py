"""Makes the bucket in MiniStack's container, which runs this script when S3 is ready."""  # noqa: INP001

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from botocore.session import Session

from local_server.bucket import make_bucket

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

if __name__ == "__main__":
    # MiniStack has put its address and keys into the environment.
    make_bucket(cast("S3Client", Session().create_client("s3")))
