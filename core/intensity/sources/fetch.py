"""The bytes of an object of S3 or a store like it, as it was when it was listed, or the reason why not."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore import UNSIGNED, exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from intensity.rows import (
    FILE_TOO_LARGE,
    OBJECT_ARCHIVED,
    OBJECT_CHANGED,
    OBJECT_FORBIDDEN,
    OBJECT_MISSING,
    PROCESSOR_FAILED,
    UNSUPPORTED_ENCODING,
)
from intensity.sources.errors import HEAD_BYTES, Content, ReadProblem, SourceError, told
from intensity.sources.objects import bare_etag, read_found

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from types_boto3_s3 import S3Client

    from intensity.sources.objects import S3Object
    from intensity.sources.paths import Found

CONNECT_TIMEOUT_SECONDS = 5
# Between two pieces of an answer.
READ_TIMEOUT_SECONDS = 30
# While objects are listed, a person waits for the sentence that says what is wrong. While they are measured, a store
# may be away for some seconds. botocore waits longer from attempt to attempt.
LIST_ATTEMPTS = 5
READ_ATTEMPTS = 8
# So many objects are read while another one is measured.
READ_AHEAD = 7
# botocore tries requests again, but not the reading of an answer that breaks off.
ATTEMPTS = 3
# Of the header Content-Encoding. Some stores keep what only the upload was encoded with.
PLAIN = {"", "identity", "aws-chunked"}
CHANGED = "The object is not the one that was listed; it was written again since."
# What S3 answers, by code, and what it means for an object.
PROBLEMS = {
    **dict.fromkeys(
        # A delete marker of this version does not allow GET.
        ("NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed", "KeyTooLongError"),
        (OBJECT_MISSING, "There is no object of this name and version."),
    ),
    "NoSuchBucket": (OBJECT_MISSING, "There is no bucket of this name."),
    **dict.fromkeys(("PreconditionFailed", "412"), (OBJECT_CHANGED, CHANGED)),
    "InvalidObjectState": (OBJECT_ARCHIVED, "The object is archived; it can be read once it has been restored."),
    **dict.fromkeys(
        ("AccessDenied", "403", "AllAccessDisabled", "AccountProblem"),
        (OBJECT_FORBIDDEN, "These credentials may not read the object, or may not know that it is missing."),
    ),
    # Encrypted with a key that only its owner has (SSE-C).
    "InvalidRequest": (OBJECT_FORBIDDEN, "The object cannot be read without a key of its owner."),
}
# With these, no other object could be read. SignatureDoesNotMatch is not one of them: some stores answer it for single
# keys with unusual characters.
CREDENTIALS = {
    *("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId"),
    *("RequestTimeTooSkewed", "UnrecognizedClientException"),
}
NO_CREDENTIALS = (
    *(exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.CredentialRetrievalError),
    *(exceptions.TokenRetrievalError, exceptions.SSOError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where objects are read, and as whom.

    endpoint_url: None for what AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL say, or AWS. profile: of ~/.aws/config; None
    for the credentials that the AWS CLI would find. anonymous: ask without credentials.
    """

    endpoint_url: str | None = None
    profile: str | None = None
    anonymous: bool = False
    ahead: int = READ_AHEAD

    def reading(self, reads_on: Callable[[bytes], bool]) -> Callable[[Found, int], Content]:
        """Return what reads an object as it was listed, of at most so many bytes. Raises SourceError."""
        return Objects(self.client(self.ahead + 1, READ_ATTEMPTS)).reading(reads_on)

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


class Objects(NamedTuple):
    """The objects of a store, for `intensity.work`, where there is a client already."""

    s3: S3Client
    ahead: int = READ_AHEAD

    def reading(self, reads_on: Callable[[bytes], bool]) -> Callable[[Found, int], Content]:
        return lambda found, most: content(self.s3, read_found(found), most, reads_on)


def content(s3: S3Client, listed: S3Object, max_bytes: int, reads_on: Callable[[bytes], bool]) -> Content:
    """Return the bytes of an object of at most `max_bytes`, or only the first ones unless it `reads_on` from these.

    Raises ReadProblem, and SourceError where the credentials are not good for any object. An object with an ETag or a
    version is the one that was listed, or `object_changed` or `object_missing`.
    """
    _check_size(listed.size or 0, max_bytes)
    reason = ""
    for _ in range(ATTEMPTS):
        answer = _answer(s3, listed)
        with closing(answer["Body"]) as body:
            _check(listed, answer)
            _check_size(answer["ContentLength"], max_bytes)
            try:
                data = body.read(HEAD_BYTES)
                if reads_on(data) or len(data) < min(HEAD_BYTES, answer["ContentLength"]):
                    # It raises IncompleteReadError if this is not all.
                    data += body.read()
                return Content(data, answer["ContentLength"])
            except BotoCoreError as error:
                reason = told(error)
    raise ReadProblem(PROCESSOR_FAILED, f"Reading this object broke off: {reason}")


def _answer(s3: S3Client, listed: S3Object) -> Mapping[str, Any]:
    """Return the answer of S3 whose body is not read yet. Raises ReadProblem and SourceError."""
    known = {"VersionId": listed.version, "IfMatch": listed.etag and f'"{listed.etag}"'}
    asked = {name: value for name, value in known.items() if value}
    try:
        return cast("Mapping[str, Any]", s3.get_object(Bucket=listed.bucket, Key=listed.key, **asked))  # type: ignore[arg-type]
    except ClientError as error:
        raise _refused(error, listed) from error
    except NO_CREDENTIALS as error:
        raise SourceError(f"S3 cannot be read: {told(error)}") from error
    except BotoCoreError as error:
        raise ReadProblem(PROCESSOR_FAILED, f"S3 did not give this object: {told(error)}") from error


def _check(listed: S3Object, answer: Mapping[str, Any]) -> None:
    """Raise ReadProblem if this is not the listed object, or is compressed, or its end is unknown."""
    if "ContentLength" not in answer:
        detail = "The store does not say how long this object is, so that a missing end would not be noticed."
        raise ReadProblem(PROCESSOR_FAILED, detail)
    # Some stores pass over conditions that they do not know.
    same = (
        listed.etag in {None, bare_etag(answer.get("ETag"))}
        and listed.size in {None, answer["ContentLength"]}
        and listed.version in {None, answer.get("VersionId", listed.version)}
    )
    if not same:
        raise ReadProblem(OBJECT_CHANGED, CHANGED)
    encoding = answer.get("ContentEncoding", "")
    if {each.strip().lower() for each in encoding.split(",")} - PLAIN:
        detail = f"The object has the header Content-Encoding: {encoding}. Upload it as it is, without this header."
        raise ReadProblem(UNSUPPORTED_ENCODING, detail)


def _check_size(size: int, max_bytes: int) -> None:
    """Raise ReadProblem if an object is too large to be read."""
    if size > max_bytes:
        raise ReadProblem(FILE_TOO_LARGE, f"The object has {size:,} bytes; at most {max_bytes:,} are read.")


def _refused(error: ClientError, listed: S3Object) -> ReadProblem | SourceError:
    code = error.response.get("Error", {}).get("Code", "")
    if code == "InvalidArgument" and listed.version is not None:
        # So S3 answers a version that it cannot have given. Without a version, it means something else.
        code = "NoSuchVersion"
    if code in CREDENTIALS:
        return SourceError(f"S3 refuses the credentials: {told(error)}")
    if code.startswith("KMS."):
        return ReadProblem(OBJECT_FORBIDDEN, f"The object's key cannot be used: {told(error)}")
    kind, sentence = PROBLEMS.get(code, (PROCESSOR_FAILED, "S3 did not give this object."))
    return ReadProblem(kind, f"{sentence} S3 says {told(error)}")
