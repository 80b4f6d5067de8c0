"""The file in a request: in a multipart form, or as the body itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pybase64 import b64decode
from starlette.datastructures import UploadFile

from contract.problems import ProblemCode, ProblemError
from gateway.http.body import FORM_BYTES, TooLargeError, encoded
from gateway.http.form import name_in, read_form
from gateway.http.problems import malformed
from gateway.http.request_log import shortened
from gateway.measuring.direct_uploads import too_large_for_service
from image_intensity import OPTIONS, detect, in_words, media_types_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.datastructures import FormData

    from gateway.http.body import Body
    from image_intensity import ImageFormat

# The name of a file, which is never trusted and may be empty; its bytes as sent, and how they are encoded.
SentFile = tuple[str, bytes | bytearray, str]

FIELD, FORM = "image", "multipart/form-data"
# A body of these types is the file itself, of whatever format.
ANY_FILE, ANY_IMAGE = "application/octet-stream", "image/*"
# What is in a text in place of bytes that are none.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()


def file_types(formats: Iterable[ImageFormat]) -> list[str]:
    """Return the types of bodies that are the file itself. template.yaml has them as binary, for API Gateway."""
    return [*media_types_of(formats), ANY_FILE]


async def read_file(
    body: Body, types: Sequence[str], limit: int, ways: Mapping[str, int]
) -> tuple[str, bytes | bytearray]:
    """Read the file in field `image`, or the body that is the file. Of one too large, at most `limit` is in memory.

    types: of a body that is the file, from `file_types`; with another type, its first bytes decide. ways: of larger
    files, see `too_large`. Raises ProblemError: malformed_request (neither a form nor a file, or not exactly one file
    and no other field), missing_image (no such file, or one without a name), empty_file, unsupported_encoding,
    file_too_large.
    """
    if body.media_type != FORM:
        await check_type(body, types)
    try:
        filename, sent, encoding = await (in_form(body, limit) if body.media_type == FORM else whole(body, limit))
    except TooLargeError as error:
        raise too_large(limit, ways, body.declared_length) from error
    # Base64 survives as text, and what it stands for may have these bytes.
    if body.came_as_text and REPLACEMENT in sent:
        raise malformed(f"{came_as_text(body)} {how_to_send(types)}")
    content = decoded(sent, encoding)
    if not content:
        raise ProblemError(ProblemCode.EMPTY_FILE)
    if len(content) > limit:
        raise too_large(limit, ways, len(content))
    return filename, content


async def check_type(body: Body, types: Sequence[str]) -> None:
    """Check that the body is the file itself. Raises ProblemError: missing_image, malformed_request."""
    if not body.came_as_text and (body.media_type in {*types, ANY_IMAGE} or detect(await body.begins())):
        return
    if not body.came_as_text and not body.head and body.media_type is None:
        raise missing_image("Nothing was sent.")
    reason = came_as_text(body) if body.came_as_text else "The body is neither a form nor an image that is measured."
    code = ProblemCode.MALFORMED_REQUEST if body.media_type is not None else ProblemCode.MISSING_IMAGE
    raise ProblemError(code, f"{reason} {how_to_send(types)}")


async def whole(body: Body, limit: int) -> SentFile:
    """Return the body as a file, by the name in Content-Disposition. Raises ProblemError and TooLargeError."""
    filename, content = printable(name_in(body.header("Content-Disposition"))), bytearray()
    async for piece in body.limited(limit):
        content += piece
    return filename, content, ""


async def in_form(body: Body, limit: int) -> SentFile:
    """Return the file in a form. Raises ProblemError and TooLargeError."""
    form = await read_form(body.header("Content-Type"), body.limited(limit + FORM_BYTES))
    try:
        return await the_file(form)
    finally:
        await form.close()


async def the_file(form: FormData) -> SentFile:
    """Return the one file of a form that has nothing else. Raises ProblemError."""
    images, others = form.getlist(FIELD), sorted({printable(name) for name in form if name != FIELD})
    names = shortened(", ".join(others))
    if not images:
        raise missing_image(f"The form has no field {FIELD}" + (f", only {names}." if others else "."))
    if others:
        options = {name: value for name, value in form.items() if name in {*OPTIONS, "detail"}}
        into_query = f" Options go into the query: /intensity?{shortened(urlencode(options))}" if options else ""
        raise malformed(f"The form has fields that this service does not know: {names}.{into_query}")
    if len(images) > 1:
        raise malformed("Send one image at a time.")
    [file] = images
    if not isinstance(file, UploadFile):
        raise missing_image(f"The field {FIELD} is text, or its file has no name.")
    if not file.filename:
        raise missing_image("No file was chosen: it has no name.")
    return printable(file.filename), await file.read(), file.headers.get("content-transfer-encoding", "")


def decoded(content: bytes | bytearray, encoding: str) -> bytes | bytearray:
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


def missing_image(reason: str) -> ProblemError:
    detail = f"{reason} Send the image as a file in the field {FIELD}; with curl: -F {FIELD}=@photo.jpg"
    return ProblemError(ProblemCode.MISSING_IMAGE, detail)


def how_to_send(types: Sequence[str]) -> str:
    return (
        f"Send the image as {FORM}, in a file field named {FIELD}; or as the body itself, with the Content-Type "
        f"{in_words(types)}."
    )


def came_as_text(body: Body) -> str:
    named = f"the Content-Type {shortened(body.media_type)}" if body.media_type else "no Content-Type"
    return f"The request has {named}. API Gateway takes that for text, which an image does not survive."


def too_large(limit: int, ways: Mapping[str, int], size: int) -> ProblemError:
    """Return the problem of a file that is too large. It names the first of the other `ways` that takes `size` bytes.

    ways: the most bytes of each; 0 if the service does not offer it.
    """
    for way, most in ways.items():
        if most > limit and size <= most + FORM_BYTES:
            detail = f"The file is larger than {limit:,} bytes, the most in a request. {way} of up to {most:,} bytes."
            return ProblemError(ProblemCode.FILE_TOO_LARGE, detail)
    return too_large_for_service(max(limit, *ways.values()))
