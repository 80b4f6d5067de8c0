"""`make deploy`: put the page into the bucket of a deployed stack. Usage: publish_page.py STACK."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import boto3

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
    """Upload the page, let CloudFront forget the old one, have the API lead to it, and return where it is."""
    [description] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
    if "PageBucket" not in outputs:
        return f"{outputs['ApiUrl']} (the stack has no site)"
    s3 = boto3.client("s3")
    for file in sorted(path for path in PAGE.rglob("*") if path.is_file()):
        s3.put_object(
            Bucket=outputs["PageBucket"],
            Key=file.relative_to(PAGE).as_posix(),
            Body=file.read_bytes(),
            ContentType=CONTENT_TYPES[file.suffix],
            CacheControl=CACHE_CONTROL,
        )
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


if __name__ == "__main__":
    print(publish(sys.argv[1]))  # noqa: T201 - the address is for a person
