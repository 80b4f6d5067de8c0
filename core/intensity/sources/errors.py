"""What can be wrong with a source, or with one file or object of it."""

from __future__ import annotations

from typing import NamedTuple

# Content that does not begin like an image is not read on.
HEAD_BYTES = 4096


class Content(NamedTuple):
    """The bytes of a file or an object, or its first ones; size: of all, in bytes."""

    data: bytes
    size: int


class SourceError(Exception):
    """A sentence on why no objects, or no further objects, can be listed or read. It ends the run."""


class ReadProblem(Exception):  # noqa: N818 - as in `image_intensity.errors`
    """Why a file or an object could not be read: a code and a sentence. It costs one row."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def told(error: Exception) -> str:
    """Return what S3 or botocore says about an error, in one line with its name."""
    if response := getattr(error, "response", None):
        problem = response.get("Error", {})
        return " ".join(f"{problem.get('Code', 'unknown')}: {problem.get('Message', '')}".split()).removesuffix(":")
    return " ".join(str(error).split())
