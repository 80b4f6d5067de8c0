"""`make deploy`: put the page into the bucket of a deployed stack.

Usage: PYTHONPATH=infra python -m deployment.publish_page STACK
"""

from __future__ import annotations

import sys
import time

import boto3

from deployment.stack import REPOSITORY, outputs

PAGE = REPOSITORY / "static_site"
CONTENT_TYPES = {
    "": "text/plain; charset=utf-8",  # a licence
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


def publish(stack: str) -> str:
    """Replace the page, let CloudFront forget the old one, have the API lead to it, and return where it is."""
    found = outputs(stack)
    if "PageBucket" not in found:
        return found["ApiUrl"]
    bucket = boto3.resource("s3").Bucket(found["PageBucket"])
    files = {path.relative_to(PAGE).as_posix(): path for path in PAGE.rglob("*") if path.is_file()}
    for key, file in files.items():
        # The files belong together and have no versions in their names: browsers ask each time whether they changed.
        kind = CONTENT_TYPES[file.suffix]
        bucket.put_object(Key=key, Body=file.read_bytes(), ContentType=kind, CacheControl="no-cache")
    # Only now: until here, the old index may ask for them. A page that is open says that it has to be loaded again.
    for each in bucket.objects.all():
        if each.key not in files:
            each.delete()
    boto3.client("cloudfront").create_invalidation(
        DistributionId=found["PageDistribution"],
        InvalidationBatch={"Paths": {"Quantity": 1, "Items": ["/*"]}, "CallerReference": str(time.time_ns())},
    )
    # https://ID.execute-api.REGION.amazonaws.com/STAGE; see gateway.http.rest_api.
    host, stage = found["ApiUrl"].removeprefix("https://").split("/")
    boto3.client("apigateway").update_stage(
        restApiId=host.partition(".")[0],
        stageName=stage,
        patchOperations=[{"op": "replace", "path": "/variables/page", "value": found["PageUrl"]}],
    )
    return found["PageUrl"]


if __name__ == "__main__":
    print(publish(sys.argv[1]))  # noqa: T201 - the address is for a person
