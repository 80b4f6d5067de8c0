"""The client for S3, or for another store that speaks its protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from intensity.sources.errors import SourceError
from intensity.sources.fetch import content
from intensity.sources.objects import read_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_s3 import S3Client

    from intensity.sources.errors import Content
    from intensity.sources.paths import Found

CONNECT_TIMEOUT_SECONDS = 5
# Between two pieces of an answer.
READ_TIMEOUT_SECONDS = 30
# While objects are listed, a person waits for the sentence that says what is wrong. While they are measured, a store
# may be away for some seconds. botocore waits longer from attempt to attempt.
LIST_ATTEMPTS = 5
READ_ATTEMPTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where objects are read, and as whom.

    endpoint_url: None for what AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL say, or AWS. profile: of ~/.aws/config; None
    for the credentials that the AWS CLI would find. anonymous: ask without credentials.
    """

    endpoint_url: str | None = None
    profile: str | None = None
    anonymous: bool = False
    # For `intensity.work`: so many objects are read while another one is measured.
    ahead: ClassVar = 7

    def reading(self, reads_on: Callable[[bytes], bool]) -> Callable[[Found, int], Content]:
        """Return what reads an object as it was listed, of at most so many bytes. Raises SourceError."""
        s3 = self.client(self.ahead + 1, READ_ATTEMPTS)

        def read(found: Found, most: int) -> Content:
            return content(s3, read_name(found.path)._replace(etag=found.etag, size=found.size), most, reads_on)

        return read

    def client(self, connections: int = 1, attempts: int = LIST_ATTEMPTS) -> S3Client:
        """Return a client for so many threads, which asks so often if there is no answer. Raises SourceError."""
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            max_pool_connections=connections,
            retries={"mode": "standard", "total_max_attempts": attempts},
            signature_version=UNSIGNED if self.anonymous else None,
        )
        try:
            session = Session(profile=self.profile)
            return cast("S3Client", session.create_client("s3", endpoint_url=self.endpoint_url, config=config))
        except (BotoCoreError, ValueError) as error:
            raise SourceError(f"cannot use S3: {' '.join(str(error).split())}") from error
