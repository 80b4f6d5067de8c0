"""Makes the bucket in MiniStack's container, which runs this script when S3 is ready. `local_server` is at /local."""  # noqa: INP001

from __future__ import annotations

import sys

from botocore.session import Session

if __name__ == "__main__":
    sys.path.insert(0, "/local")
    from local_server.bucket import make_bucket

    # MiniStack has put its address and keys into the environment.
    make_bucket(Session().create_client("s3"))
