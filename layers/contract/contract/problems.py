"""The one table of what can go wrong. Its codes are part of the HTTP API: RFC 9457 problem details carry them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class ProblemCode(StrEnum):
    """What went wrong, for programs."""

    MISSING_IMAGE = "missing_image"
    EMPTY_FILE = "empty_file"
    MALFORMED_REQUEST = "malformed_request"
    UNSUPPORTED_FORMAT = "unsupported_format"
    CORRUPT_IMAGE = "corrupt_image"
    REGION_OUTSIDE_IMAGE = "region_outside_image"
    INVALID_TICKET = "invalid_ticket"
    UPLOAD_MISMATCH = "upload_mismatch"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    UPLOAD_MISSING = "upload_missing"
    EXPIRED_TICKET = "expired_ticket"
    FILE_TOO_LARGE = "file_too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    TOO_MANY_REQUESTS = "too_many_requests"
    INTERNAL_ERROR = "internal_error"
    PROCESSOR_FAILED = "processor_failed"
    PROCESSOR_BUSY = "processor_busy"
    PROCESSOR_TIMEOUT = "processor_timeout"


class ProblemType(NamedTuple):
    """The HTTP status of a kind of problem, and its title."""

    status: int
    title: str


PROBLEM_TYPES = {
    ProblemCode.MISSING_IMAGE: ProblemType(400, "No image was sent"),
    ProblemCode.EMPTY_FILE: ProblemType(400, "The file is empty"),
    ProblemCode.MALFORMED_REQUEST: ProblemType(400, "The request is malformed"),
    ProblemCode.UNSUPPORTED_FORMAT: ProblemType(400, "The image format is not supported"),
    ProblemCode.CORRUPT_IMAGE: ProblemType(400, "The image is damaged"),
    ProblemCode.REGION_OUTSIDE_IMAGE: ProblemType(400, "The region is not inside the image"),
    ProblemCode.INVALID_TICKET: ProblemType(400, "The ticket is not valid"),
    ProblemCode.UPLOAD_MISMATCH: ProblemType(400, "The uploaded file is another one"),
    ProblemCode.UNAUTHORIZED: ProblemType(401, "Credentials are missing or not valid"),
    ProblemCode.FORBIDDEN: ProblemType(403, "Access is denied"),
    ProblemCode.NOT_FOUND: ProblemType(404, "There is nothing here"),
    ProblemCode.METHOD_NOT_ALLOWED: ProblemType(405, "The method is not allowed"),
    ProblemCode.REQUEST_TIMEOUT: ProblemType(408, "The request took too long to arrive"),
    ProblemCode.UPLOAD_MISSING: ProblemType(409, "The file was not uploaded"),
    ProblemCode.EXPIRED_TICKET: ProblemType(410, "The ticket has expired"),
    ProblemCode.FILE_TOO_LARGE: ProblemType(413, "The file is too large"),
    ProblemCode.TOO_MANY_PIXELS: ProblemType(413, "The image has too many pixels"),
    ProblemCode.UNSUPPORTED_ENCODING: ProblemType(415, "The encoding is not supported"),
    ProblemCode.TOO_MANY_REQUESTS: ProblemType(429, "Too many requests"),
    ProblemCode.INTERNAL_ERROR: ProblemType(500, "Something went wrong on our side"),
    ProblemCode.PROCESSOR_FAILED: ProblemType(502, "The image processor failed"),
    ProblemCode.PROCESSOR_BUSY: ProblemType(503, "The image processor is busy"),
    ProblemCode.PROCESSOR_TIMEOUT: ProblemType(504, "The image processor took too long"),
}


class ProblemError(Exception):
    """Ends a request without a measurement: a code, and a sentence for the person who sent the image.

    The user reads `detail`. It says what is wrong and, if possible, what to do. It tells nothing about the inside of
    the service.
    """

    def __init__(self, code: ProblemCode, detail: str) -> None:
        """Keep both parts. The message of the exception has both, for logs and tests."""
        super().__init__(f"{code.value}: {detail}")
        self.code = code
        self.detail = detail
