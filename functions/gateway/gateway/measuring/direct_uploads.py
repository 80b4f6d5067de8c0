"""Direct uploads: a form that S3 takes one file by, and a ticket to have that file measured.

S3 holds the file to what the form says: its key, size, type and SHA-256. So whatever lies under a ticket's key is the
content that the ticket names, and neither the upload nor the question what is in it needs the gateway.
"""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self, cast

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.invocation import StoredImage
from contract.problems import ProblemCode, ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_s3 import S3Client

    from gateway.settings import Settings

PREFIX = "uploads/"
# How long a form and its ticket are good: 100 MB in an hour is a line of 0.25 Mbit/s.
TICKET_SECONDS = 3600


class UploadRequest(BaseModel):
    """The file that somebody is about to upload."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    filename: Annotated[str, Field(min_length=1, max_length=1024)]
    """Its name; the answer to the measurement has it again."""
    size: Annotated[int, Field(ge=0)]
    """Its length in bytes."""
    content_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$", max_length=127)]
    """The type that it will be sent as, such as image/png; what it is, its content decides."""
    sha256: Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")]
    """The SHA-256 of its content, hexadecimal."""


class TicketRequest(BaseModel):
    """The ticket of an upload."""

    model_config = ConfigDict(extra="forbid")

    ticket: Annotated[str, Field(max_length=8192)]


class Ticket(BaseModel):
    """What a ticket says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(pattern=f"^{PREFIX}")]
    filename: str
    size: int
    sha256: str

    @classmethod
    def of(cls, upload: UploadRequest) -> Self:
        """Return a ticket for `upload`, with a key that nobody else has or can guess."""
        key = f"{PREFIX}{uuid.uuid4()}"
        return cls(key=key, filename=upload.filename, size=upload.size, sha256=upload.sha256.lower())


class Form(NamedTuple):
    """An S3 presigned POST: every field, then the file as the last one, named `file`."""

    url: str
    fields: dict[str, str]


class Uploads:
    """The bucket for direct uploads. Nothing here calls S3: forms and tickets are signed by what is at hand."""

    def __init__(self, connect: Callable[[], S3Client], bucket: str, secret_key: str) -> None:
        """Hand out forms for `bucket`, signed by the client that `connect` returns, and tickets, by `secret_key`."""
        self.bucket = bucket
        # Made at the first upload: it costs a third of a second that other requests need not pay at a start.
        self.client = cache(connect)
        # The bucket is in the salt: a ticket of another deployment with the same secret is none here.
        self.serializer = URLSafeTimedSerializer(
            secret_key, salt=f"upload to {bucket}", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def form(self, ticket: Ticket, content_type: str) -> Form:
        """Return the form that uploads just the file of `ticket`, sent as `content_type`."""
        exact = {
            "Content-Type": content_type,
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(ticket.sha256)).decode(),
        }
        conditions: list[Any] = [{name: value} for name, value in exact.items()]
        post = self.client().generate_presigned_post(
            self.bucket,
            ticket.key,
            Fields=dict(exact),
            Conditions=[*conditions, ["content-length-range", ticket.size, ticket.size]],
            ExpiresIn=TICKET_SECONDS,
        )
        return Form(post["url"], post["fields"])

    def sign(self, ticket: Ticket) -> str:
        """Return the ticket for those who upload."""
        text = self.serializer.dumps(ticket.model_dump())
        return text.decode() if isinstance(text, bytes) else text

    def read(self, text: str) -> Ticket:
        """Return what a ticket says. Raises ProblemError: invalid_ticket, expired_ticket."""
        try:
            return Ticket.model_validate(self.serializer.loads(text, max_age=TICKET_SECONDS))
        except SignatureExpired as error:
            detail = "The ticket has expired. Ask for another by POST /uploads; the file has to be uploaded again."
            raise ProblemError(ProblemCode.EXPIRED_TICKET, detail) from error
        except (BadData, ValidationError) as error:
            detail = "This is not a ticket of this service, or it was changed. POST /uploads gives one."
            raise ProblemError(ProblemCode.INVALID_TICKET, detail) from error

    def stored(self, ticket: Ticket) -> StoredImage:
        """Return where the file of `ticket` is."""
        return StoredImage(bucket=self.bucket, key=ticket.key, size=ticket.size, sha256=ticket.sha256)


def expiry() -> datetime:
    """Return when a ticket that is made now expires."""
    return datetime.fromtimestamp(int(time.time()) + TICKET_SECONDS, UTC)


def make_uploads(settings: Settings) -> Uploads | None:
    """Return the uploads that the settings ask for: none without a bucket."""
    if not settings.upload_bucket:
        return None
    return Uploads(make_s3_client, settings.upload_bucket, settings.secret_key.get_secret_value())


def make_s3_client() -> S3Client:
    """Return a client that signs, for AWS or what AWS_ENDPOINT_URL_S3 names instead."""
    from botocore.config import Config  # noqa: PLC0415 - see Uploads
    from botocore.session import Session  # noqa: PLC0415

    # Left to themselves, some regions get the old signature and the global host, which redirects.
    s3: Any = {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    config = Config(signature_version="s3v4", s3=s3)
    return cast("S3Client", Session().create_client("s3", config=config))
