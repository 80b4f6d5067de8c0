"""The body of a request: its type, its first bytes, and all of it up to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from contract.problems import ProblemCode, ProblemError
from gateway.http.problems import malformed, wrong_values
from gateway.http.request_log import shortened

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import Request

Model = TypeVar("Model", bound=BaseModel)

# The most bytes of boundaries and headers around the file in a form.
FORM_BYTES = 64 * 1024
# The formats of images are told apart by so many bytes.
SIGNATURE_BYTES = 16
# Of a declared length. They are over every limit, and Python refuses to read very long numbers.
MAX_DIGITS = 18
JSON = "application/json"
# The most bytes of JSON. Tickets and announcements have at most half of this.
JSON_BYTES = 16 * 1024
# The longest header that is parsed: names of files have at most 255 bytes, and parsers are slow on hostile text.
MAX_HEADER_BYTES = 4096


class TooLargeError(Exception):
    """The body is over its limit."""


class Body:
    """The body of a request, whose first bytes can be looked at before the rest is read."""

    def __init__(self, request: Request) -> None:
        """Look at the headers. Raises ProblemError: unsupported_encoding, if the body is compressed."""
        encoding = request.headers.get("content-encoding", "")
        if encoding.strip().lower() not in {"", "identity"}:
            raise encoded("request", "Content-Encoding", encoding)
        self.request, self.pieces, self.head = request, request.stream(), b""
        sent_as = request.headers.get("content-type")
        # Without parameters; None if the request does not say it.
        self.media_type = None if sent_as is None else sent_as.split(";")[0].strip().lower()
        event = request.scope.get("aws.event", {})
        # API Gateway does this with every type that is not in its BinaryMediaTypes. Bytes are then lost.
        self.came_as_text = bool(event.get("body")) and not event.get("isBase64Encoded")

    async def begins(self) -> bytes:
        """Return its first bytes, as many as tell the formats of images apart."""
        while len(self.head) < SIGNATURE_BYTES and (piece := await anext(self.pieces, b"")):
            self.head += piece
        return self.head

    async def limited(self, limit: int) -> AsyncGenerator[bytes, None]:
        """Yield all of it in pieces as they arrive. Raises TooLargeError as soon as it is over `limit` bytes."""
        # Check this before reading: above 1 MB, curl and others wait for the answer before they send.
        received = len(self.head)
        if max(self.declared_length, received) > limit:
            raise TooLargeError
        yield self.head
        async for piece in self.pieces:
            received += len(piece)
            if received > limit:
                raise TooLargeError
            yield piece

    @property
    def declared_length(self) -> int:
        """The length that its sender declares; 0 if there is none."""
        declared = self.request.headers.get("content-length", "")
        return int(declared[:MAX_DIGITS]) if declared.isdecimal() else 0

    def header(self, name: str) -> str:
        """Return a header that is to be parsed. Raises ProblemError: malformed_request, if it is too long."""
        value = self.request.headers.get(name, "")
        if len(value) > MAX_HEADER_BYTES:
            raise malformed(f"The header {name} is longer than {MAX_HEADER_BYTES:,} bytes.")
        return value

    async def json(self, model: type[Model]) -> Model:
        """Return a little JSON. Raises ProblemError: malformed_request, if it has not exactly the fields of `model`."""
        if self.media_type != JSON:
            raise malformed("Send the body as application/json.")
        try:
            text = b"".join([piece async for piece in self.limited(JSON_BYTES)])
            return model.model_validate_json(text, strict=True)
        except TooLargeError as error:
            raise malformed(f"The body is larger than {JSON_BYTES:,} bytes.") from error
        except ValidationError as error:
            raise malformed(wrong_values(error.errors(), "field")) from error


def encoded(what: str, name: str, value: str) -> ProblemError:
    detail = f"The {what} has the header {name}: {shortened(value)}. Send the file as it is, without this header."
    return ProblemError(ProblemCode.UNSUPPORTED_ENCODING, detail)
