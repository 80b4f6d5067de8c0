"""Reads the body of a request up to a limit: one file, alone or in a multipart form, or a little JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pybase64 import b64decode
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from contract.problems import ProblemCode, ProblemError
from gateway.http.form import name_in, read_form
from gateway.http.problems import malformed, wrong_values
from gateway.http.request_log import shortened
from gateway.measuring.direct_uploads import too_large_for_service
from image_intensity import in_words, media_types_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from fastapi import Request
    from starlette.datastructures import FormData

    from image_intensity import ImageFormat

Model = TypeVar("Model", bound=BaseModel)
# The name of a file, which is never trusted and may be empty, and its bytes.
SentFile = tuple[str, bytes | bytearray]

FIELD = "image"
# A body of this type is the file itself, of whatever format.
ANY_FILE = "application/octet-stream"
# The most bytes of boundaries and headers around the file in a form.
FORM_BYTES = 64 * 1024
# A declared length with more digits is over every limit, and Python refuses to read very long numbers.
MAX_DIGITS = 18
# The most bytes of JSON. Tickets and announcements have at most half of this.
JSON_BYTES = 16 * 1024
# The longest header that is parsed: names of files have at most 255 bytes, and parsers are slow on hostile text.
MAX_HEADER_BYTES = 4096


def file_types(formats: Iterable[ImageFormat]) -> list[str]:
    """Return the types of bodies that are the file itself. template.yaml has them as binary, for API Gateway."""
    return [*media_types_of(formats), ANY_FILE]


async def read_file(
    request: Request, types: Sequence[str], max_content_length: int, max_upload_bytes: int, max_job_bytes: int
) -> SentFile:
    """Read the file in field `image`, or the body that is the file. Of one too large, at most the limit is in memory.

    types: of a body that is the file, from `file_types`.

    Raises ProblemError: malformed_request (neither a form nor a file, or not exactly one file and no other field),
    missing_image (no such file, or one without a name), empty_file, unsupported_encoding, file_too_large. The last one
    tells about direct uploads if they take files of this size, up to `max_upload_bytes`, or else about jobs, up to
    `max_job_bytes`.
    """
    sent_as = media_type(request)
    if sent_as is None:
        raise missing_image("Nothing was sent, or the request does not say what: it has no Content-Type.")
    if sent_as not in {"multipart/form-data", *types}:
        raise malformed(
            f"Send the image as multipart/form-data, in a file field named {FIELD}; or as the body itself, with the "
            f"Content-Type {in_words(types)}."
        )
    ways = {"POST /uploads takes files": max_upload_bytes, "POST /jobs takes uploaded files": max_job_bytes}
    try:
        if sent_as in types:
            filename, content = await whole_body(request, max_content_length)
        else:
            body = limited(request, max_content_length + FORM_BYTES)
            form = await read_form(header(request, "Content-Type"), body)
            try:
                filename, content = await the_file(form)
            finally:
                await form.close()
    except TooLargeError as error:
        raise too_large(max_content_length, ways, declared_length(request)) from error
    if not content:
        raise ProblemError(ProblemCode.EMPTY_FILE)
    if len(content) > max_content_length:
        raise too_large(max_content_length, ways, len(content))
    return filename, content


async def whole_body(request: Request, limit: int) -> SentFile:
    """Return the body as a file, by the name in Content-Disposition. Raises ProblemError and TooLargeError."""
    filename, content = printable(name_in(header(request, "Content-Disposition"))), bytearray()
    async for piece in limited(request, limit):
        content += piece
    return filename, content


async def the_file(form: FormData) -> SentFile:
    """Return the one file of a form that has nothing else. Raises ProblemError."""
    images, others = form.getlist(FIELD), sorted({printable(name) for name in form if name != FIELD})
    if not images:
        raise missing_image(
            f"The form has no field {FIELD}" + (f", only {shortened(', '.join(others))}." if others else ".")
        )
    if others:
        raise malformed(f"The form has fields that this service does not know: {shortened(', '.join(others))}.")
    if len(images) > 1:
        raise malformed("Send one image at a time.")
    [file] = images
    if not isinstance(file, UploadFile):
        raise missing_image(f"The field {FIELD} is text, or its file has no name.")
    if not file.filename:
        raise missing_image("No file was chosen: it has no name.")
    encoding = file.headers.get("content-transfer-encoding", "")
    return printable(file.filename), decoded(await file.read(), encoding)


def decoded(content: bytes, encoding: str) -> bytes:
    """Return the bytes of a file that some programs send in base64. Raises ProblemError."""
    encoding = encoding.strip().lower()
    if encoding in {"", "binary", "7bit", "8bit"}:
        return content
    if encoding != "base64":
        raise encoded("file's part", "Content-Transfer-Encoding", encoding)
    try:
        return b64decode(content.translate(None, b" \t\r\n"), validate=True)
    except ValueError as error:
        detail = "The file's part has the header Content-Transfer-Encoding: base64, but its content is not base64."
        raise malformed(detail) from error


def printable(name: str) -> str:
    """Return the name without halves of characters, which some character sets can give and JSON cannot carry."""
    return name.encode(errors="replace").decode()


def header(request: Request, name: str) -> str:
    """Return a header that is to be parsed. Raises ProblemError: malformed_request, if it is too long."""
    value = request.headers.get(name, "")
    if len(value) > MAX_HEADER_BYTES:
        raise malformed(f"The header {name} is longer than {MAX_HEADER_BYTES:,} bytes.")
    return value


def media_type(request: Request) -> str | None:
    """Return the media type of the body without parameters; None if the request does not say it."""
    content_type = request.headers.get("content-type")
    return None if content_type is None else content_type.split(";")[0].strip().lower()


def is_json(request: Request) -> bool:
    return media_type(request) == "application/json"


async def read_json(request: Request, model: type[Model]) -> Model:
    """Read a small JSON body. Raises ProblemError: malformed_request, if it has not exactly the fields of `model`."""
    if not is_json(request):
        raise malformed("Send the body as application/json.")
    try:
        body = b"".join([chunk async for chunk in limited(request, JSON_BYTES)])
        return model.model_validate_json(body, strict=True)
    except TooLargeError as error:
        raise malformed(f"The body is larger than {JSON_BYTES:,} bytes.") from error
    except ValidationError as error:
        raise malformed(wrong_values(error.errors(), "field")) from error


class TooLargeError(Exception):
    """The body is over its limit."""


async def limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the body in pieces as it arrives. Raises TooLargeError as soon as it is over `limit` bytes.

    Raises ProblemError: unsupported_encoding, if the body is compressed.
    """
    if request.headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise encoded("request", "Content-Encoding", request.headers["content-encoding"])
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


def encoded(what: str, name: str, value: str) -> ProblemError:
    detail = f"The {what} has the header {name}: {shortened(value)}. Send the file as it is, without this header."
    return ProblemError(ProblemCode.UNSUPPORTED_ENCODING, detail)


def missing_image(reason: str) -> ProblemError:
    detail = f"{reason} Send the image as a file in the field {FIELD}; with curl: -F {FIELD}=@photo.jpg"
    return ProblemError(ProblemCode.MISSING_IMAGE, detail)


def too_large(limit: int, ways: Mapping[str, int], size: int) -> ProblemError:
    """Return the problem of a file that is too large. It names the first of the other `ways` that takes `size` bytes.

    ways: the most bytes of each; 0 if the service does not offer it.
    """
    for way, most in ways.items():
        if most > limit and size <= most + FORM_BYTES:
            detail = f"The file is larger than {limit:,} bytes, the most in a request. {way} of up to {most:,} bytes."
            return ProblemError(ProblemCode.FILE_TOO_LARGE, detail)
    return too_large_for_service(max(limit, *ways.values()))
