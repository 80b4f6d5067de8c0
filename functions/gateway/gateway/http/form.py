"""Parses a multipart form (RFC 7578) that should have one file.

python-multipart finds the boundaries, as it does for Starlette's own parser. Here its file stays in memory, which the
limit on the request bounds, and is copied at most once. Starlette writes it to a temporary file and reads it again.
"""

from __future__ import annotations

import codecs
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from python_multipart.multipart import MultipartCallbacks

# It warns of each malformed form. That has its answer, and its line in our log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

MAX_FILES = 1
MAX_FIELDS = 1000
# The most bytes of a field that is not a file.
MAX_FIELD_BYTES = 1024 * 1024
# A client may send single bytes. Pieces below this size are put together, up to a block of the second size, since an
# object for each takes more memory than its bytes.
SMALL_BYTES = 4096
BLOCK_BYTES = 65_536


Content = bytes | bytearray | memoryview


class FormError(Exception):
    """The form cannot be read. The message says why."""


@dataclass(slots=True)
class Part:
    """A part of a form. filename: None if it is not a file. pieces: of its content, where possible as they arrived."""

    disposition: bytes = b""
    encoding: bytes = b""
    name: str = ""
    filename: str | None = None
    size: int = 0
    pieces: list[memoryview | bytearray] = field(default_factory=list)

    @property
    def content(self) -> Content:
        """The content, without a copy if it has arrived in one piece."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    def add(self, piece: memoryview) -> None:
        """Add a piece to the content, without a copy unless it is small."""
        self.size += len(piece)
        last = self.pieces[-1] if self.pieces else None
        if len(piece) >= SMALL_BYTES:
            self.pieces.append(piece)
        elif isinstance(last, bytearray) and len(last) < BLOCK_BYTES:
            last += piece
        else:
            self.pieces.append(bytearray(piece))


class Form:
    """The parser of one form. The methods whose names begin with `on_` are called by python-multipart."""

    def __init__(self, content_type: str) -> None:
        """Parse a body of this type. Raises FormError without a boundary, and ValueError for some character sets."""
        _, parameters = parse_options_header(content_type)
        self.charset = charset_of(parameters)
        self.parts: list[Part] = []
        self.files = self.fields = 0
        self.complete = False
        self.header = self.value = b""
        if b"boundary" not in parameters:
            raise FormError("Missing boundary in multipart.")
        callbacks: MultipartCallbacks = {
            "on_part_begin": self.on_part_begin,
            "on_part_data": self.on_part_data,
            "on_part_end": self.on_part_end,
            "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value,
            "on_header_end": self.on_header_end,
            "on_headers_finished": self.on_headers_finished,
            "on_end": self.on_end,
        }
        try:
            self.parser = MultipartParser(parameters[b"boundary"], callbacks)
        except FormParserError as error:
            raise FormError("Invalid multipart data.") from error

    async def read(self, body: AsyncIterable[bytes]) -> list[Part]:
        """Return the parts. Raises FormError, ValueError if a name has no text in the form's character set."""
        try:
            async for piece in body:
                self.parser.write(piece)
        except FormParserError as error:
            raise FormError("Invalid multipart data.") from error
        finally:
            # The parser and this object know each other. Both would keep the file until Python looks for that.
            del self.parser
        if not self.complete:
            raise FormError("Its closing boundary is missing.")
        return self.parts

    def on_part_begin(self) -> None:
        """Begin a part."""
        self.part = Part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Note a piece of a header's name."""
        self.header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Note a piece of a header's value."""
        self.value += data[start:end]

    def on_header_end(self) -> None:
        """Keep the headers that matter."""
        name = self.header.lower()
        if name == b"content-disposition":
            self.part.disposition = self.value
        elif name == b"content-transfer-encoding":
            self.part.encoding = self.value
        self.header = self.value = b""

    def on_headers_finished(self) -> None:
        """Read the names. Raises FormError without one, or if there are too many parts."""
        _, options = parse_options_header(self.part.disposition)
        if b"name" not in options:
            raise FormError('The Content-Disposition header field "name" must be provided.')
        self.part.name = self.decode(options[b"name"])
        if b"filename" not in options:
            self.fields += 1
            if self.fields > MAX_FIELDS:
                raise FormError(f"Too many fields. Maximum number of fields is {MAX_FIELDS}.")
            return
        self.files += 1
        if self.files > MAX_FILES:
            raise FormError(f"Too many files. Maximum number of files is {MAX_FILES}.")
        self.part.filename = self.decode(options[b"filename"])

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Note a piece of the content. Raises FormError if a field that is no file is too long."""
        self.part.add(memoryview(data)[start:end])
        if self.part.filename is None and self.part.size > MAX_FIELD_BYTES:
            raise FormError(f"Part exceeded maximum size of {MAX_FIELD_BYTES // 1024}KB.")

    def on_part_end(self) -> None:
        """Add the part."""
        if self.part.filename is None:
            # The text is not used, but it must be text.
            self.decode(bytes(self.part.content))
        self.parts.append(self.part)

    def on_end(self) -> None:
        """Note the closing boundary."""
        self.complete = True

    def decode(self, text: bytes) -> str:
        """Return the text in the form's character set, or as Latin-1 if it is not in that. Raises ValueError."""
        try:
            return text.decode(self.charset)
        except (UnicodeDecodeError, LookupError):
            return text.decode("latin-1")


def charset_of(parameters: dict[bytes, bytes]) -> str:
    """Return the character set of the names, UTF-8 if the form does not say it. Raises ValueError for some."""
    try:
        return codecs.lookup(parameters.get(b"charset", b"utf-8").decode("latin-1")).name
    except LookupError:
        return "latin-1"
