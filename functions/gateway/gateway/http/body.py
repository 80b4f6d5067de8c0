"""Reads the body of a request, one file in a multipart form (RFC 7578) or a little JSON, up to a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from contract.problems import ProblemCode, ProblemError
from gateway.http.problems import reasons
from gateway.measuring.direct_uploads import too_large_for_service

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request

Model = TypeVar("Model", bound=BaseModel)

FIELD = "image"
# The most bytes of boundaries and headers around the file in a form.
FORM_BYTES = 64 * 1024
# A declared length with more digits is over every limit, and Python refuses to read very long numbers.
MAX_DIGITS = 18
# The most bytes of JSON. Tickets and announcements have at most half of this.
JSON_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file in a request: its name, which is never trusted, and its bytes."""

    filename: str
    content: bytes


class CompleteMultiPartParser(MultiPartParser):
    """Starlette's parser, but it refuses a form that was cut off, which Starlette accepts."""

    complete = False

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], *, max_files: int) -> None:
        """Parse `stream`, a body of the type in `headers`."""
        super().__init__(headers, self.to_its_end(stream), max_files=max_files)

    async def to_its_end(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the stream. Raises at its end if the form has no end: here the parser still closes its files."""
        async for chunk in stream:
            yield chunk
        if not self.complete:
            raise MultiPartException("Its closing boundary is missing.")

    def on_end(self) -> None:
        """Note the closing boundary."""
        self.complete = True


async def read_file(request: Request, max_content_length: int, max_upload_bytes: int) -> SentFile:
    """Read the file in field `image`. Of a body that is too large, at most the limit is in memory.

    Raises ProblemError: malformed_request (not a multipart form, or not exactly one file and no other field),
    missing_image (no such file, or one without a name), empty_file, file_too_large. The last one tells about direct
    uploads if they take files of this size, up to `max_upload_bytes`.
    """
    sent_as = media_type(request)
    if sent_as is None:
        raise missing_image("Nothing was sent.")
    if sent_as != "multipart/form-data":
        detail = f"Send the image as multipart/form-data, in a file field named {FIELD}."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)
    parser = CompleteMultiPartParser(request.headers, limited(request, max_content_length + FORM_BYTES), max_files=1)
    # The file stays in memory, which the limit bounds. A copy on disk would only take time, and a disk on Lambda.
    parser.spool_max_size = max_content_length + FORM_BYTES
    try:
        form = await parser.parse()
    except TooLargeError as error:
        raise too_large(max_content_length, max_upload_bytes, declared_length(request)) from error
    except MultiPartException as error:
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, f"The form cannot be read: {error.message}") from error
    except ValueError as error:
        # The form names a wrong character set, or one that does not exist.
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, "The names in the form cannot be read.") from error
    try:
        file = await the_file(form.multi_items())
    finally:
        await form.close()
    if len(file.content) > max_content_length:
        raise too_large(max_content_length, max_upload_bytes, len(file.content))
    return file


async def the_file(items: list[tuple[str, UploadFile | str]]) -> SentFile:
    """Return the one file of a form that has nothing else. Raises ProblemError."""
    images = [value for name, value in items if name == FIELD]
    others = sorted({printable(name) for name, _ in items if name != FIELD})
    if not images:
        raise missing_image(f"The form has no field {FIELD}" + (f", only {', '.join(others)}." if others else "."))
    if others:
        detail = f"The form has fields that this service does not know: {', '.join(others)}."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)
    if len(images) > 1:
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, "Send one image at a time.")
    file = images[0]
    if not isinstance(file, UploadFile):
        raise missing_image(f"The field {FIELD} is text, or its file has no name.")
    if not file.filename:
        raise missing_image("No file was chosen: it has no name.")
    content = await file.read()
    if not content:
        raise ProblemError(ProblemCode.EMPTY_FILE, "The file has no bytes.")
    return SentFile(printable(file.filename), content)


def printable(name: str) -> str:
    """Return the name without halves of characters, which some character sets can give and JSON cannot carry."""
    return name.encode(errors="replace").decode()


def media_type(request: Request) -> str | None:
    """Return the media type of the body without parameters; None if the request does not say it."""
    content_type = request.headers.get("content-type")
    return None if content_type is None else content_type.split(";")[0].strip().lower()


def is_json(request: Request) -> bool:
    """Return whether the body is sent as JSON."""
    return media_type(request) == "application/json"


async def read_json(request: Request, model: type[Model]) -> Model:
    """Read a small JSON body. Raises ProblemError: malformed_request, if it has not exactly the fields of `model`."""
    if not is_json(request):
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, "Send the body as application/json.")
    try:
        body = b"".join([chunk async for chunk in limited(request, JSON_BYTES)])
        return model.model_validate_json(body, strict=True)
    except TooLargeError as error:
        detail = f"The body is larger than {JSON_BYTES:,} bytes."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail) from error
    except ValidationError as error:
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, reasons(error.errors())) from error


class TooLargeError(Exception):
    """The body is over its limit."""


async def limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the body in pieces as it arrives. Raises TooLargeError as soon as it is over `limit` bytes."""
    # Check this before reading: above 1 MB, curl and others wait for the answer before they send.
    if declared_length(request) > limit:
        raise TooLargeError
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise TooLargeError
        yield chunk


def declared_length(request: Request) -> int:
    """Return the length of the body that its sender declares; 0 if there is none."""
    declared = request.headers.get("content-length", "0")
    if len(declared) > MAX_DIGITS:
        return int("9" * MAX_DIGITS)
    return int(declared) if declared.isdecimal() else 0


def missing_image(reason: str) -> ProblemError:
    """Return the problem that explains how to send an image."""
    detail = f"{reason} Send the image as a file in the field {FIELD}; with curl: -F {FIELD}=@photo.jpg"
    return ProblemError(ProblemCode.MISSING_IMAGE, detail)


def too_large(limit: int, max_upload_bytes: int, size: int) -> ProblemError:
    """Return the problem of a file that is too large, which tells about direct uploads if they take `size` bytes."""
    if max_upload_bytes <= limit or size > max_upload_bytes + FORM_BYTES:
        return too_large_for_service(max(limit, max_upload_bytes))
    way = f"POST /uploads takes files of up to {max_upload_bytes:,} bytes."
    return ProblemError(
        ProblemCode.FILE_TOO_LARGE, f"The file is larger than {limit:,} bytes, the most in a request. {way}"
    )
