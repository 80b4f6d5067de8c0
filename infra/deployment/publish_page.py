"""`make deploy`: put the page into the bucket of a deployed stack. Usage: publish_page.py STACK."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from collections.abc import Container

    from types_boto3_s3 import S3Client

PAGE = Path(__file__).parents[2] / "static_site"
CONTENT_TYPES = {
    "": "text/plain; charset=utf-8",  # a licence
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
# The files belong together and have no versions in their names: browsers ask each time whether they have changed.
CACHE_CONTROL = "no-cache"


def publish(stack: str) -> str:
    """Replace the page, let CloudFront forget the old one, have the API lead to it, and return where it is."""
    [description] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
    if "PageBucket" not in outputs:
        return outputs["ApiUrl"]
    s3, bucket = boto3.client("s3"), outputs["PageBucket"]
    files = {path.relative_to(PAGE).as_posix(): path for path in sorted(PAGE.rglob("*")) if path.is_file()}
    for key, file in files.items():
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=file.read_bytes(),
            ContentType=CONTENT_TYPES[file.suffix],
            CacheControl=CACHE_CONTROL,
        )
    # Only now: until here, the old index may ask for them. A page that is open says that it has to be loaded again.
    delete(s3, bucket, keep=files.keys())
    boto3.client("cloudfront").create_invalidation(
        DistributionId=outputs["PageDistribution"],
        InvalidationBatch={"Paths": {"Quantity": 1, "Items": ["/*"]}, "CallerReference": str(time.time_ns())},
    )
    # https://ID.execute-api.REGION.amazonaws.com/STAGE; see gateway.http.rest_api.
    host, stage = outputs["ApiUrl"].removeprefix("https://").split("/")
    boto3.client("apigateway").update_stage(
        restApiId=host.partition(".")[0],
        stageName=stage,
        patchOperations=[{"op": "replace", "path": "/variables/page", "value": outputs["PageUrl"]}],
    )
    return outputs["PageUrl"]


def delete(s3: S3Client, bucket: str, keep: Container[str] = ()) -> None:
    """Delete every object of a bucket, but those with a key in `keep`."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        keys = [each["Key"] for each in page.get("Contents", []) if each["Key"] not in keep]
        if keys:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})


if __name__ == "__main__":
    print(publish(sys.argv[1]))  # noqa: T201 - the address is for a person
