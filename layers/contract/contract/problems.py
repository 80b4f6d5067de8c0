"""What can go wrong, as HTTP has it. The codes are part of the API: RFC 9457 problem details carry them."""

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
    """The HTTP status of a kind of problem, its title, and a sentence on it.

    detail: what `ProblemError` says if it is given no other sentence; elsewhere an example.
    """

    status: int
    title: str
    detail: str


PROBLEM_TYPES = {
    ProblemCode.MISSING_IMAGE: ProblemType(
        400,
        "No image was sent",
        "No file was chosen: it has no name. Send the image as a file in the field image; "
        "with curl: -F image=@photo.jpg",
    ),
    ProblemCode.EMPTY_FILE: ProblemType(400, "The file is empty", "The file has no bytes."),
    ProblemCode.MALFORMED_REQUEST: ProblemType(
        400,
        "The request is malformed",
        "The form has fields that this service does not know: luma. Options go into the query: /intensity?luma=bt709",
    ),
    ProblemCode.UNSUPPORTED_FORMAT: ProblemType(
        400, "The image format is not supported", "The content of this file is not PNG or JPEG."
    ),
    ProblemCode.CORRUPT_IMAGE: ProblemType(
        400, "The image is damaged", "This PNG is damaged: its last rows are missing."
    ),
    ProblemCode.REGION_OUTSIDE_IMAGE: ProblemType(
        400,
        "The region is not inside the image",
        "The region 700,0,200,100 needs an image of at least 900 x 100 pixels; this one has 800 x 600 as stored.",
    ),
    ProblemCode.INVALID_TICKET: ProblemType(
        400,
        "The ticket is not valid",
        "This is not a ticket of this service, or it was changed. Call POST /uploads for one.",
    ),
    ProblemCode.UPLOAD_MISMATCH: ProblemType(
        400, "The uploaded file is another one", "The uploaded file is not the announced one: it has another SHA-256."
    ),
    ProblemCode.UNAUTHORIZED: ProblemType(
        401,
        "Credentials are missing or not valid",
        "This service needs a token in the header Authorization: Bearer. There is none in this request, or it is "
        "not valid or has expired.",
    ),
    ProblemCode.FORBIDDEN: ProblemType(
        403,
        "Access is denied",
        "This service needs an API key in the header X-API-Key. There is none in this request, or it is not valid.",
    ),
    ProblemCode.NOT_FOUND: ProblemType(
        404,
        "There is nothing here",
        "This service takes no direct uploads (UPLOAD_BUCKET is not set). Send images to POST /intensity.",
    ),
    ProblemCode.METHOD_NOT_ALLOWED: ProblemType(
        405, "The method is not allowed", "GET is not allowed at /intensity. It takes POST."
    ),
    ProblemCode.REQUEST_TIMEOUT: ProblemType(
        408,
        "The request took too long to arrive",
        "The request did not arrive in time: its sender stopped, or was too slow.",
    ),
    ProblemCode.UPLOAD_MISSING: ProblemType(
        409,
        "The file was not uploaded",
        "Nothing has been uploaded with this ticket, or it is no longer there. Ask POST /uploads for a form.",
    ),
    ProblemCode.EXPIRED_TICKET: ProblemType(
        410,
        "The ticket has expired",
        "The ticket has expired. Call POST /uploads for a new one, and upload the file again.",
    ),
    ProblemCode.FILE_TOO_LARGE: ProblemType(
        413,
        "The file is too large",
        "The file is larger than 4,600,000 bytes, the most in a request. POST /uploads takes files of up to "
        "100,000,000 bytes.",
    ),
    ProblemCode.TOO_MANY_PIXELS: ProblemType(
        413,
        "The image has too many pixels",
        "The image has 9,000 x 9,000 = 81,000,000 pixels; at most 64,000,000 are measured.",
    ),
    ProblemCode.UNSUPPORTED_ENCODING: ProblemType(
        415,
        "The encoding is not supported",
        "The request has the header Content-Encoding: gzip. Send the file as it is, without this header.",
    ),
    ProblemCode.TOO_MANY_REQUESTS: ProblemType(
        429, "Too many requests", "Too many requests at this time. Please try again in a moment."
    ),
    ProblemCode.INTERNAL_ERROR: ProblemType(
        500,
        "Something went wrong on our side",
        "The request could not be answered. Please try again, and quote the request id if it happens again.",
    ),
    ProblemCode.PROCESSOR_FAILED: ProblemType(
        502,
        "The image processor failed",
        "The image processor failed. This is not the image's fault as far as we know; please try again.",
    ),
    ProblemCode.PROCESSOR_BUSY: ProblemType(
        503, "The image processor is busy", "All image processors are busy. Please try again in a moment."
    ),
    ProblemCode.PROCESSOR_TIMEOUT: ProblemType(
        504, "The image processor took too long", "Measuring this image took too long and was stopped."
    ),
}


class ProblemError(Exception):
    """Ends a request without a measurement: a code, and a sentence for the person who sent the image.

    The user reads `detail`. It says what is wrong and, if possible, what to do. It tells nothing about the inside of
    the service.
    """

    def __init__(self, code: ProblemCode, detail: str | None = None) -> None:
        """Keep both parts; without a sentence, that of the table. The message has both, for logs and tests."""
        self.code = code
        self.detail = PROBLEM_TYPES[code].detail if detail is None else detail
        super().__init__(f"{code.value}: {self.detail}")

    def __reduce__(self) -> tuple[type[ProblemError], tuple[ProblemCode, str]]:
        """Let it be pickled, for another process: by itself, an exception keeps only its message."""
        return type(self), (self.code, self.detail)
