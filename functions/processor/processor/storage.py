"""Images that were uploaded to S3: read as a whole and compared with what the sender announced."""

from __future__ import annotations

import hashlib
from contextlib import closing
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, NoReturn, cast

from contract.problems import ProblemCode, ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_s3 import S3Client

    from contract.invocation import StoredImage

CONNECT_TIMEOUT_SECONDS = 2
# Between two pieces. The function's own timeout limits the whole read.
READ_TIMEOUT_SECONDS = 5
PIECE_BYTES = 1 << 20
NOT_THERE = {"NoSuchKey", "404"}


def content(image: bytes | StoredImage, progress: Callable[[float], None] | None = None) -> bytes:
    """Return the bytes of an image, which may be in S3.

    progress: is called with the share of the file that has been read, now and then.
    Raises ProblemError: upload_missing when nothing is there; upload_mismatch when it has another size or SHA-256 than
    announced. At most the announced size is read.
    """
    if isinstance(image, bytes):
        return image
    from botocore.exceptions import ClientError  # noqa: PLC0415 - see client

    try:
        answer = client().get_object(Bucket=image.bucket, Key=image.key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in NOT_THERE:
            raise
        raise ProblemError(ProblemCode.UPLOAD_MISSING) from error
    encodings = {each.strip().lower() for each in answer.get("ContentEncoding", "").split(",")}
    if encodings - {"", "identity", "aws-chunked"}:
        detail = f"The uploaded file has the header Content-Encoding: {answer['ContentEncoding']}. Upload it as it is."
        raise ProblemError(ProblemCode.UNSUPPORTED_ENCODING, detail)
    with closing(answer["Body"]) as body:
        if answer["ContentLength"] != image.size:
            mismatch(f"it has {answer['ContentLength']:,} bytes and not {image.size:,}")
        digest, file = hashlib.sha256(), BytesIO()
        for piece in body.iter_chunks(PIECE_BYTES):
            digest.update(piece)
            file.write(piece)
            if progress:
                progress(file.tell() / image.size)
    if digest.hexdigest() != image.sha256:
        mismatch("it has another SHA-256")
    # Without a copy, unlike pieces that are joined: a job may read 2 GB.
    return file.getvalue()


def mismatch(difference: str) -> NoReturn:
    """Refuse the uploaded file. S3 enforces the form; other storage may not."""
    raise ProblemError(ProblemCode.UPLOAD_MISMATCH, f"The uploaded file is not the announced one: {difference}.")


@cache
def client() -> S3Client:
    """Return the client for S3, or for what AWS_ENDPOINT_URL_S3 names instead."""
    # Loading it takes longer than all the rest, and most images come with their invocation.
    from botocore.config import Config  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 2},
        # `content` compares the SHA-256 with the announced one. A second checksum would only cost time.
        response_checksum_validation="when_required",
    )
    return cast("S3Client", Session().create_client("s3", config=config))
