"""Bodies of requests: one file in a multipart form (RFC 7578), or a little JSON; limited while they arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from contract.problems import ProblemCode, ProblemError
from gateway.http.problems import reasons

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request

Model = TypeVar("Model", bound=BaseModel)

FIELD = "image"
# Room for the boundaries and headers of a form around a file of just the allowed size.
FORM_BYTES = 64 * 1024
# A number of bytes with more digits is over any limit, and Python refuses to read some of them.
MAX_DIGITS = 18
# A ticket, or what is said of a file before it is uploaded, has at most half of this.
JSON_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent: its name, never trusted, and its bytes."""

    filename: str
    content: bytes


class CompleteMultiPartParser(MultiPartParser):
    """Starlette's parser, which takes a form that was cut off for a whole one, made to refuse it."""

    complete = False

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], *, max_files: int) -> None:
        """Parse `stream`, a body of the type in `headers`."""
        super().__init__(headers, self.to_its_end(stream), max_files=max_files)

    async def to_its_end(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the stream; raise where the parser still closes its files if its end is missing."""
        async for chunk in stream:
            yield chunk
        if not self.complete:
            raise MultiPartException("Its closing boundary is missing.")

    def on_end(self) -> None:
        """Note the closing boundary."""
        self.complete = True


async def read_upload(request: Request, max_content_length: int, max_upload_bytes: int) -> Upload:
    """Read the file in field `image`; of a body that is too large, no more than the limit is ever in memory.

    Raises ProblemError: malformed_request (not a multipart form, or not exactly one file and no other field),
    missing_image (no such file, or one without a name), empty_file, file_too_large, which names the other way for
    files of up to `max_upload_bytes`.
    """
    sent_as = media_type(request)
    if sent_as is None:
        raise missing_image("Nothing was sent.")
    if sent_as != "multipart/form-data":
        detail = f"Send the image as multipart/form-data, in a file field named {FIELD}."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)
    parser = CompleteMultiPartParser(request.headers, limited(request, max_content_length + FORM_BYTES), max_files=1)
    # The limit bounds the memory; a copy on disk would only cost time (and on Lambda, a disk).
    parser.spool_max_size = max_content_length + FORM_BYTES
    try:
        form = await parser.parse()
    except TooLargeError as error:
        raise too_large(max_content_length, max_upload_bytes, declared_length(request)) from error
    except MultiPartException as error:
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, f"The form cannot be read: {error.message}") from error
    except ValueError as error:
        # The form names a character set that it is not written in, or one that does not exist.
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, "The names in the form cannot be read.") from error
    try:
        upload = await the_file(form.multi_items())
    finally:
        await form.close()
    if len(upload.content) > max_content_length:
        raise too_large(max_content_length, max_upload_bytes, len(upload.content))
    return upload


async def the_file(items: list[tuple[str, UploadFile | str]]) -> Upload:
    """Return the one file of a form that has nothing else."""
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
    return Upload(printable(file.filename), content)


def printable(name: str) -> str:
    """Return the name as JSON can carry it: some character sets decode to halves of characters."""
    return name.encode(errors="replace").decode()


def media_type(request: Request) -> str | None:
    """Return what the body is sent as, without parameters; None where the request does not say."""
    content_type = request.headers.get("content-type")
    return None if content_type is None else content_type.split(";")[0].strip().lower()


def is_json(request: Request) -> bool:
    """Tell whether the body is sent as JSON."""
    return media_type(request) == "application/json"


async def read_json(request: Request, model: type[Model]) -> Model:
    """Read a small JSON body. Raises ProblemError: malformed_request, unless it is just what `model` has."""
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
    """Yield the body in the pieces that it arrives in. Raises TooLargeError as soon as it is over `limit` bytes."""
    # Before a byte is asked for: curl and others wait for that, above 1 MB.
    if declared_length(request) > limit:
        raise TooLargeError
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise TooLargeError
        yield chunk


def declared_length(request: Request) -> int:
    """Return the length of the body as its sender declares it, 0 where that is not said."""
    declared = request.headers.get("content-length", "0")
    if len(declared) > MAX_DIGITS:
        return int("9" * MAX_DIGITS)
    return int(declared) if declared.isdecimal() else 0


def missing_image(reason: str) -> ProblemError:
    """Return the problem that says how an image is sent."""
    detail = f"{reason} Send the image as a file in the field {FIELD}; with curl: -F {FIELD}=@photo.jpg"
    return ProblemError(ProblemCode.MISSING_IMAGE, detail)


def too_large(limit: int, max_upload_bytes: int = 0, size: int = 0) -> ProblemError:
    """Return the problem that says what the limit is, and the way round it where that would do."""
    if limit < max_upload_bytes and size <= max_upload_bytes + FORM_BYTES:
        way = f"in a request. POST /uploads takes files of up to {max_upload_bytes:,} bytes."
    else:
        way, limit = "that this service takes.", max(limit, max_upload_bytes)
    return ProblemError(ProblemCode.FILE_TOO_LARGE, f"The file is larger than {limit:,} bytes, the most {way}")
