"""Makes the bucket for direct uploads in MiniStack's container, which runs this script when S3 is ready.

That container has no package but botocore, and the storage's address and keys in its environment.
"""  # noqa: INP001

from __future__ import annotations

from contextlib import suppress
from typing import Any

from botocore.session import Session

BUCKET = "image-intensity-uploads"
# As in template.yaml. A form is signed, so any page may send it. No page may read or list what was uploaded.
CORS = {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["POST"], "AllowedHeaders": ["*"]}]}

if __name__ == "__main__":
    s3: Any = Session().create_client("s3")
    # After a restart of a storage that keeps its files, the bucket exists, without its CORS rules.
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration=CORS)
