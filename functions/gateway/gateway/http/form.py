"""Reads a multipart form (RFC 7578) with Starlette's parser, and more of what clients send than it does by itself."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from gateway.http.problems import malformed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.datastructures import FormData

# It warns of each malformed form. That has its answer, and its line in our log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

# https://www.rfc-editor.org/rfc/rfc8187#section-3.2
EXTENDED_NAME = re.compile(rb""";\s*filename\*\s*=\s*"?([\w-]+)'[\w-]*'([^;"\s]+)""", re.IGNORECASE)


class Form(MultiPartParser):
    """Starlette's parser. It keeps the file in memory, reads `filename*`, and knows whether the form is whole."""

    # No limit: that on the request bounds it.
    spool_max_size = 0
    begun = whole = False
    value = b""

    def on_part_begin(self) -> None:
        self.begun = True
        super().on_part_begin()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def on_header_end(self) -> None:
        value, self.value = with_plain_name(self.value), b""
        super().on_header_value(value, 0, len(value))
        super().on_header_end()

    def on_end(self) -> None:
        self.whole = True


async def read_form(content_type: str, body: AsyncGenerator[bytes, None]) -> FormData:
    """Return the fields of a form with one file at most. Raises ProblemError: malformed_request."""
    piece = b""

    async def pieces() -> AsyncGenerator[bytes, None]:
        nonlocal piece
        async for piece in body:
            yield piece
        if not form.whole:
            raise MultiPartException("Its closing boundary is missing.")

    form = Form(Headers({"content-type": content_type}), pieces(), max_files=1)
    try:
        return await form.parse()
    except MultiPartException as error:
        at, reason = getattr(error.__cause__, "offset", 0), error.message
        if error.__cause__ and not form.begun:
            reason = "It must begin with its boundary line, without spaces behind it."
        elif piece[max(at - 1, 0) : at + 1] in {b"\n ", b"\n\t"}:
            reason = "A header of a part goes on in a second line; write it in one."
        raise malformed(f"The form cannot be read: {reason}") from error
    except ValueError as error:
        # The form names a wrong character set, or one that does not exist.
        raise malformed("The names in the form cannot be read.") from error


def with_plain_name(disposition: bytes) -> bytes:
    """Return a Content-Disposition with the name in its `filename*`, which counts more, as its last `filename`."""
    if not (found := EXTENDED_NAME.search(disposition)):
        return disposition
    try:
        name = unquote_to_bytes(found[2]).decode(found[1].decode())
        quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode()
    except (LookupError, ValueError):
        return disposition
    return disposition + b'; filename="' + quoted + b'"'


def name_in(disposition: str) -> str:
    """Return the name in a header Content-Disposition (RFC 6266); empty if there is none."""
    _, parameters = parse_options_header(with_plain_name(disposition.encode("latin-1")))
    # curl and others send names outside of ASCII as UTF-8.
    return parameters.get(b"filename", b"").decode(errors="replace")
