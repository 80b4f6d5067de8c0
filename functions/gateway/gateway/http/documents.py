"""Documents that are the same for everyone: page files, the documentation. Browsers get them once, and compressed."""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cached_property
from typing import TYPE_CHECKING

from fastapi import Response

if TYPE_CHECKING:
    from fastapi import Request

# The name of the coding, without a weight of 0.
GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")


class Document:
    """A text, and how browsers may use it."""

    def __init__(self, content: bytes, media_type: str, policy: str = "") -> None:
        """Keep the content. `policy` is its Content-Security-Policy, if it is a page."""
        self.content = content
        self.media_type = media_type
        digest = hashlib.sha256(content).hexdigest()[:32]
        self.headers = {
            # Weak (W/): the same for the content and for its compressed form.
            "ETag": f'W/"{digest}"',
            # Browsers ask each time whether it has changed. Documents that belong together have no versions.
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            **({"Content-Security-Policy": policy} if policy else {}),
        }

    @cached_property
    def compressed(self) -> bytes:
        """The content in gzip. It is made once: Swagger UI's script takes 50 ms."""
        return gzip.compress(self.content, mtime=0)

    def answer(self, request: Request) -> Response:
        """Return the document, compressed if the client takes that; a 304 if the client has it already."""
        if self.is_known(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=self.headers)
        if GZIP.search(request.headers.get("accept-encoding", "")):
            headers = {**self.headers, "Content-Encoding": "gzip"}
            return Response(self.compressed, headers=headers, media_type=self.media_type)
        return Response(self.content, headers=self.headers, media_type=self.media_type)

    def is_known(self, if_none_match: str) -> bool:
        """Return whether the client has it (RFC 9110, section 13.1.2)."""
        tags = {tag.strip() for tag in if_none_match.split(",")}
        return "*" in tags or self.headers["ETag"].removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}
