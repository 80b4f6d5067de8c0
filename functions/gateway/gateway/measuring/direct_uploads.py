"""Direct uploads: a form to upload one file to S3, and a ticket to have that file measured.

The form fixes key, size, type and SHA-256 of the file, and S3 refuses any other file. So the file under a ticket's key
is the one that the ticket describes, and the upload does not go through the gateway.
"""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from bisect import bisect
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self, cast
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.session import Session
from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from contract.invocation import StoredImage
from contract.problems import ProblemCode, ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_s3 import S3Client

    from gateway.settings import Settings

PREFIX = "uploads/"
# How long a form and its ticket are valid: five minutes, and longer for a larger file, up to an hour. Within this time
# a form can be sent to S3 again and again, which costs the service each time.
LEAST_SECONDS = 300
MOST_SECONDS = 3600
# 0.25 Mbit/s.
SLOWEST_BYTES_PER_SECOND = 32_000
# With the present signature, and for the bucket's own host in its region. Without this, some regions get the old
# signature and the global host, which redirects.
SIGNING = Config(
    signature_version="s3v4", s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
)


# For the description of the API.
ANNOUNCED: Any = {
    "filename": "panorama.png",
    "size": 24_000_000,
    "content_type": "image/png",
    "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
}
TICKET = ".eJyli0ESwiAQBP-y52BwgUjymyUsJpVAqFA.awhtfA.TaVoGMQRlVt2FyWWAiCEXFIHJQGSRbSTYqyjrNMMbIg"


def whole(value: object) -> object:
    """Return the integer that a number like 3.0 is: in JSON there is only one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class UploadRequest(BaseModel):
    """The announcement of a file that will be uploaded."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, json_schema_extra={"examples": [ANNOUNCED]}
    )

    filename: Annotated[str, Field(min_length=1, max_length=1024)]
    """Its name; the answer to the measurement has it again."""
    # An empty file has a problem of its own, so the document says 1 and a size of 0 gets that far.
    size: Annotated[int, Field(ge=0, json_schema_extra={"minimum": 1}), BeforeValidator(whole)]
    """Its length in bytes."""
    content_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$", max_length=127)]
    """The type that it will be sent as, for example image/png. Only the content decides which format it is."""
    sha256: Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")]
    """The SHA-256 of its content, hexadecimal."""


class TicketRequest(BaseModel):
    """The ticket of an upload."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"ticket": TICKET}]})

    ticket: Annotated[str, Field(max_length=8192)]


class Ticket(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(pattern=f"^{PREFIX}")]
    filename: str
    size: int
    sha256: str

    @classmethod
    def of(cls, upload: UploadRequest) -> Self:
        """Return a ticket for `upload`, with a new key that cannot be guessed."""
        key = f"{PREFIX}{uuid.uuid4()}"
        return cls(key=key, filename=upload.filename, size=upload.size, sha256=upload.sha256.lower())

    @property
    def seconds(self) -> int:
        return min(LEAST_SECONDS + self.size // SLOWEST_BYTES_PER_SECOND, MOST_SECONDS)


class Offer(NamedTuple):
    """The answer to an announcement: the signed ticket, when it expires, and the form if the file must be uploaded.

    form: `url` and `fields` of a presigned POST. Send every field, then the file as the last one, named `file`.
    """

    ticket: str
    expires_at: datetime
    form: dict[str, Any] | None


class DirectUploads:
    """The bucket for direct uploads. Nothing here calls S3: forms and tickets are only signed."""

    def __init__(
        self,
        connect: Callable[[], S3Client],
        bucket: str,
        secret_key: str,
        credentials: Callable[[], object] = lambda: None,
    ) -> None:
        """Sign forms for `bucket` with the client that `connect` returns, and tickets with `secret_key`.

        credentials: returns those that the client signs with. A form ends with them.
        """
        self.bucket, self.credentials = bucket, credentials
        # Made for the first upload: it takes a third of a second, which other requests need not wait for.
        self.client = cache(connect)
        # The salt has the bucket, so that a ticket of another deployment with the same secret is not valid here.
        self.serializer = URLSafeTimedSerializer(
            secret_key, salt=f"upload to {bucket}", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def make_ticket(self, request: UploadRequest, max_bytes: int) -> Ticket:
        """Return a ticket for the announced file. Raises ProblemError: empty_file, file_too_large."""
        if not request.size:
            raise ProblemError(ProblemCode.EMPTY_FILE)
        if request.size > max_bytes:
            raise too_large_for_service(max_bytes)
        return Ticket.of(request)

    def offer(self, ticket: Ticket, content_type: str | None) -> Offer:
        """Return the answer to an announcement, with a form if a file of `content_type` is to be uploaded."""
        form = self.form(ticket, content_type) if content_type else None
        seconds = seconds_left(self.credentials(), ticket.seconds) if form else ticket.seconds
        expires_at = datetime.fromtimestamp(int(time.time()) + seconds, UTC)
        return Offer(self.serializer.dumps(ticket.model_dump()), expires_at, form)

    def redeem(self, text: str) -> tuple[str, StoredImage]:
        """Return the name of a ticket's file, and where it is. Raises ProblemError: invalid_ticket, expired_ticket."""
        try:
            content, signed_at = self.serializer.loads(text, max_age=MOST_SECONDS, return_timestamp=True)
            ticket = Ticket.model_validate(content)
        except SignatureExpired as error:
            raise ProblemError(ProblemCode.EXPIRED_TICKET) from error
        except (BadData, ValidationError) as error:
            raise ProblemError(ProblemCode.INVALID_TICKET) from error
        if time.time() - signed_at.timestamp() > ticket.seconds:
            raise ProblemError(ProblemCode.EXPIRED_TICKET)
        return ticket.filename, self.stored(ticket)

    def stored(self, ticket: Ticket) -> StoredImage:
        return StoredImage(bucket=self.bucket, key=ticket.key, size=ticket.size, sha256=ticket.sha256)

    def form(self, ticket: Ticket, content_type: str) -> dict[str, Any]:
        """Return the form that uploads exactly the file of `ticket`, sent as `content_type`."""
        exact = {
            "Content-Type": content_type,
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(ticket.sha256)).decode(),
        }
        conditions: list[Any] = [{name: value} for name, value in exact.items()]
        conditions.append(["content-length-range", ticket.size, ticket.size])
        return self.client().generate_presigned_post(
            self.bucket, ticket.key, Fields=dict(exact), Conditions=conditions, ExpiresIn=ticket.seconds
        )

    def origin(self) -> str:
        """Return where forms are sent to, as a Content-Security-Policy names it."""
        address = urlsplit(self.client().generate_presigned_post(self.bucket, PREFIX)["url"])
        return f"{address.scheme}://{address.netloc}"


def too_large_for_service(limit: int) -> ProblemError:
    detail = f"The file is larger than {limit:,} bytes, the most that this service takes."
    return ProblemError(ProblemCode.FILE_TOO_LARGE, detail)


def make_uploads(settings: Settings) -> DirectUploads | None:
    """Return the direct uploads that the settings ask for: none without a bucket."""
    if not settings.upload_bucket:
        return None
    session = cache(Session)
    return DirectUploads(
        lambda: make_s3_client(session()),
        settings.upload_bucket,
        settings.secret_key.get_secret_value(),
        lambda: session().get_credentials(),
    )


def make_s3_client(session: Session | None = None) -> S3Client:
    """Return a client that signs forms, for AWS or the address in AWS_ENDPOINT_URL_S3."""
    return cast("S3Client", (session or Session()).create_client("s3", config=SIGNING))


def seconds_left(credentials: Any, most: int) -> int:  # noqa: ANN401 - botocore has several kinds
    """Return how many of `most` seconds the credentials of a role still last. Others have no end that is known.

    They only say whether they end within some seconds: the answer is the largest number for which they do not.
    """
    end_within = getattr(credentials, "refresh_needed", None)
    return bisect(range(1, most + 1), False, key=end_within) if end_within else most  # noqa: FBT003 - what is looked for
