"""The upload: one file in a multipart form (RFC 7578), its size limited while it arrives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from contract.problems import ProblemCode, ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request

FIELD = "image"
# Room for the boundaries and headers of a form around a file of just the allowed size.
FORM_BYTES = 64 * 1024
# A number of bytes with more digits is over any limit, and Python refuses to read some of them.
MAX_DIGITS = 18


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


async def read_upload(request: Request, max_content_length: int) -> Upload:
    """Read the file in field `image`; of a body that is too large, no more than the limit is ever in memory.

    Raises ProblemError: malformed_request (not a multipart form, or not exactly one file and no other field),
    missing_image (no such file, or one without a name), empty_file, file_too_large.
    """
    content_type = request.headers.get("content-type")
    if content_type is None:
        raise missing_image("Nothing was sent.")
    if content_type.split(";")[0].strip().lower() != "multipart/form-data":
        detail = f"Send the image as multipart/form-data, in a file field named {FIELD}."
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, detail)
    parser = CompleteMultiPartParser(request.headers, limited(request, max_content_length + FORM_BYTES), max_files=1)
    # The limit bounds the memory; a copy on disk would only cost time (and on Lambda, a disk).
    parser.spool_max_size = max_content_length + FORM_BYTES
    try:
        form = await parser.parse()
    except TooLargeError as error:
        raise too_large(max_content_length) from error
    except MultiPartException as error:
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, f"The form cannot be read: {error.message}") from error
    except ValueError as error:
        # The form names a character set that it is not written in, or one that does not exist.
        raise ProblemError(ProblemCode.MALFORMED_REQUEST, "The names in the form cannot be read.") from error
    try:
        return await the_file(form.multi_items(), max_content_length)
    finally:
        await form.close()


async def the_file(items: list[tuple[str, UploadFile | str]], max_content_length: int) -> Upload:
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
    if len(content) > max_content_length:
        raise too_large(max_content_length)
    return Upload(printable(file.filename), content)


def printable(name: str) -> str:
    """Return the name as JSON can carry it: some character sets decode to halves of characters."""
    return name.encode(errors="replace").decode()


class TooLargeError(Exception):
    """The body is over its limit."""


async def limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the body in the pieces that it arrives in. Raises TooLargeError as soon as it is over `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    # Before a byte is asked for: curl and others wait for that, above 1 MB.
    if len(declared) > MAX_DIGITS or (declared.isdecimal() and int(declared) > limit):
        raise TooLargeError
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise TooLargeError
        yield chunk


def missing_image(reason: str) -> ProblemError:
    """Return the problem that says how an image is sent."""
    detail = f"{reason} Send the image as a file in the field {FIELD}; with curl: -F {FIELD}=@photo.jpg"
    return ProblemError(ProblemCode.MISSING_IMAGE, detail)


def too_large(max_content_length: int) -> ProblemError:
    """Return the problem that says what the limit is."""
    detail = f"The file is larger than {max_content_length:,} bytes, the most that this service takes."
    return ProblemError(ProblemCode.FILE_TOO_LARGE, detail)
