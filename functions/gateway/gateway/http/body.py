"""Reads the body of a request up to a limit: one file, alone or in a multipart form (RFC 7578), or a little JSON."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import TYPE_CHECKING, TypeVar

from pybase64 import b64decode
from pydantic import BaseModel, ValidationError

from contract.problems import ProblemCode, ProblemError
from gateway.http.form import Form, FormError, Part
from gateway.http.problems import reasons
from gateway.http.request_log import shortened
from gateway.measuring.direct_uploads import too_large_for_service

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from fastapi import Request

    from gateway.http.form import Content

Model = TypeVar("Model", bound=BaseModel)

FIELD = "image"
# A body of one of these types is the file itself. template.yaml has them as binary, for API Gateway.
FILE_TYPES = ("image/jpeg", "image/png", "application/octet-stream")
# The most bytes of boundaries and headers around the file in a form.
FORM_BYTES = 64 * 1024
# A declared length with more digits is over every limit, and Python refuses to read very long numbers.
MAX_DIGITS = 18
# The most bytes of JSON. Tickets and announcements have at most half of this.
JSON_BYTES = 16 * 1024
# The longest header that is parsed: names of files have at most 255 bytes, and parsers are slow on hostile text.
MAX_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file in a request: its name, which is never trusted and may be empty, and its bytes."""

    filename: str
    content: Content


async def read_file(request: Request, max_content_length: int, max_upload_bytes: int, max_job_bytes: int) -> SentFile:
    """Read the file in field `image`, or the body that is the file. Of one too large, at most the limit is in memory.

    Raises ProblemError: malformed_request (neither a form nor a file, or not exactly one file and no other field),
    missing_image (no such file, or one without a name), empty_file, file_too_large. The last one tells about direct
    uploads if they take files of this size, up to `max_upload_bytes`, or else about jobs, up to `max_job_bytes`.
    """
    sent_as = media_type(request)
    if sent_as is None:
        raise missing_image("Nothing was sent.")
    if sent_as not in {"multipart/form-data", *FILE_TYPES}:
        detail = (
            f"Send the image as multipart/form-data, in a file field named {FIELD}; or as the body itself, with the "
            f"Content-Type {', '.join(FILE_TYPES[:-1])} or {FILE_TYPES[-1]}."
        )
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)
    ways = {"POST /uploads takes files": max_upload_bytes, "POST /jobs takes uploaded files": max_job_bytes}
    try:
        if sent_as in FILE_TYPES:
            return await whole_body(request, max_content_length)
        file = await file_in_form(request, max_content_length + FORM_BYTES)
    except TooLargeError as error:
        raise too_large(max_content_length, ways, declared_length(request)) from error
    if len(file.content) > max_content_length:
        raise too_large(max_content_length, ways, len(file.content))
    return file


async def whole_body(request: Request, limit: int) -> SentFile:
    """Return the body as a file, by the name in Content-Disposition. Raises ProblemError and TooLargeError."""
    file = Part(filename=name_in_disposition(request.headers.get("content-disposition", "")))
    async for piece in limited(request, limit):
        file.add(memoryview(piece))
    return sent_file(file)


def name_in_disposition(value: str) -> str:
    """Return the name in a header Content-Disposition (RFC 6266); empty if there is none. Raises ProblemError."""
    if len(value) > MAX_HEADER_BYTES:
        detail = f"The header Content-Disposition is longer than {MAX_HEADER_BYTES:,} bytes."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)
    message = Message()
    # curl and others send names outside of ASCII as UTF-8.
    message["Content-Disposition"] = value.encode("latin-1").decode(errors="replace")
    parameters = message.get_params([], "Content-Disposition")
    names = [value for name, value in parameters if name.lower() == "filename"]
    try:
        # A tuple is from filename*, which counts more than the filename for clients that do not know it.
        return collapse_rfc2231_value(max(names, key=lambda value: isinstance(value, tuple), default=""))
    except ValueError as error:
        # It names a character set that does not fit.
        detail = "The name in Content-Disposition cannot be read."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail) from error


async def file_in_form(request: Request, limit: int) -> SentFile:
    """Return the file in a form. Raises ProblemError and TooLargeError."""
    content_type = request.headers["content-type"]
    if len(content_type) > MAX_HEADER_BYTES:
        detail = f"The header Content-Type is longer than {MAX_HEADER_BYTES:,} bytes."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)
    try:
        form = Form(content_type)
        return the_file(await form.read(limited(request, limit)))
    except FormError as error:
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, f"The form cannot be read: {error}") from error
    except ValueError as error:
        # The form names a wrong character set, or one that does not exist.
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, "The names in the form cannot be read.") from error


def the_file(parts: list[Part]) -> SentFile:
    """Return the one file of a form that has nothing else. Raises ProblemError."""
    images = [part for part in parts if part.name == FIELD]
    others = sorted({printable(part.name) for part in parts if part.name != FIELD})
    if not images:
        raise missing_image(
            f"The form has no field {FIELD}" + (f", only {shortened(', '.join(others))}." if others else ".")
        )
    if others:
        detail = f"The form has fields that this service does not know: {shortened(', '.join(others))}."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)
    if len(images) > 1:
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, "Send one image at a time.")
    file = images[0]
    if file.filename is None:
        raise missing_image(f"The field {FIELD} is text, or its file has no name.")
    if not file.filename:
        raise missing_image("No file was chosen: it has no name.")
    return sent_file(file)


def sent_file(part: Part) -> SentFile:
    """Return the file of a part. Raises ProblemError: empty_file."""
    if not part.size:
        raise ProblemError(ProblemCode.EMPTY_FILE, "The file has no bytes.")
    return SentFile(printable(part.filename or ""), decoded(part))


def decoded(part: Part) -> Content:
    """Return the bytes of the file of a part, which some programs send in base64. Raises ProblemError."""
    encoding = part.encoding.strip().lower().decode("latin-1")
    if encoding in {"", "binary", "7bit", "8bit"}:
        return part.content
    if encoding != "base64":
        raise encoded("file's part", "Content-Transfer-Encoding", encoding)
    try:
        return b64decode(bytes(part.content).translate(None, b" \t\r\n"), validate=True)
    except ValueError as error:
        detail = "The file's part has the header Content-Transfer-Encoding: base64, but its content is not base64."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail) from error


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
    """Yield the body in pieces as it arrives. Raises TooLargeError as soon as it is over `limit` bytes.

    Raises ProblemError: unsupported_encoding, if the body is compressed.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
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


def encoded(what: str, header: str, value: str) -> ProblemError:
    """Return the problem of a request or a part whose bytes are not those of the file."""
    detail = f"The {what} has the header {header}: {shortened(value)}. Send the file as it is, without this header."
    return ProblemError(ProblemCode.UNSUPPORTED_ENCODING, detail)


def missing_image(reason: str) -> ProblemError:
    """Return the problem that explains how to send an image."""
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
