"""What can be wrong with an image. Every error has a code for programs and a sentence for people."""

from __future__ import annotations

from typing import ClassVar, NoReturn

__all__ = [
    "CorruptImage",
    "EmptyFile",
    "MeasurementError",
    "RegionOutsideImage",
    "TooManyPixels",
    "UnsupportedFormat",
]


class MeasurementError(Exception):
    """Why there is no measurement.

    code: the kind of error, the same in the library, the command and the API. detail: one sentence for the person who
    has the image. It says what is wrong and, where possible, what to do. `str(error)` is the same sentence.
    """

    code: ClassVar[str]

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class EmptyFile(MeasurementError):
    """The file has no bytes."""

    code = "empty_file"


class UnsupportedFormat(MeasurementError):
    """The content is not an allowed format, or it is a kind of that format that is not measured."""

    code = "unsupported_format"


class CorruptImage(MeasurementError):
    """The file is damaged, so that at least one pixel would be a guess."""

    code = "corrupt_image"


class TooManyPixels(MeasurementError):
    """The image has more pixels than the limit, or decoding it takes more memory than the limit."""

    code = "too_many_pixels"


class RegionOutsideImage(MeasurementError):
    """At least one pixel of the region is not in the image. The region is never cut to fit."""

    code = "region_outside_image"


def corrupt(image_format: str, reason: str) -> NoReturn:
    """Raise CorruptImage for a file of this format."""
    raise CorruptImage(f"This {image_format} is damaged: {reason}.")
