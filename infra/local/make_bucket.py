"""Makes the bucket for direct uploads in MiniStack's container, which runs this script when S3 is ready.

That container has no package of ours or others, except botocore.
"""  # noqa: INP001

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from botocore.session import Session

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.literals import BucketLocationConstraintType
    from types_boto3_s3.type_defs import CORSConfigurationTypeDef

BUCKET = "image-intensity-uploads"
# The region of S3 that a bucket needs no constraint for.
FIRST_REGION = "us-east-1"
# As in template.yaml. A form is signed, so any page may send it. No page may read or list what was uploaded.
CORS: CORSConfigurationTypeDef = {
    "CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["POST"], "AllowedHeaders": ["*"]}]
}


def make_bucket(s3: S3Client) -> None:
    """Make the bucket, which pages of any origin may upload to. Raises botocore's errors."""
    region = s3.meta.region_name
    # After a restart of a storage that keeps its files, the bucket exists, without its CORS rules.
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        if region == FIRST_REGION:
            s3.create_bucket(Bucket=BUCKET)
        else:
            place: BucketLocationConstraintType = region  # type: ignore[assignment]
            s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": place})
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration=CORS)


if __name__ == "__main__":
    # MiniStack has put its address and keys into the environment.
    make_bucket(cast("S3Client", Session().create_client("s3")))
