"""What the caller chooses: how gray values are made, and the limits on the work for an image."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

ImageFormat = Literal["PNG", "JPEG"]
Luma = Literal["bt601", "bt709", "mean"]
Alpha = Literal["ignore", "weight", "black", "white"]

# The ends of names by which files of a format are found in folders and buckets, in lower case, without the dot.
SUFFIXES: dict[ImageFormat, frozenset[str]] = {
    "PNG": frozenset({"png", "apng"}),
    "JPEG": frozenset({"jpg", "jpeg", "jpe", "jfif", "mpo"}),
}


def suffixes_of(formats: Iterable[ImageFormat]) -> frozenset[str]:
    """Return the ends of names by which files of any of these formats are found."""
    return frozenset().union(*(SUFFIXES[name] for name in formats))


class LumaFormula(NamedTuple):
    """Gray = (r R + g G + b B + divisor // 2) // divisor, in integers: the weighted mean, rounded to the nearest."""

    weights: tuple[int, int, int]
    divisor: int


# BT.601-7, section 2.5.1, in the 16-bit fixed point of Pillow's `convert("L")`; BT.709-6, section 3.2, likewise.
LUMA_FORMULAS: dict[Luma, LumaFormula] = {
    "bt601": LumaFormula((19595, 38470, 7471), 65536),
    "bt709": LumaFormula((13933, 46871, 4732), 65536),
    "mean": LumaFormula((1, 1, 1), 3),
}


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of pixels as the file stores them, before any EXIF orientation.

    x, y: the column and the row of its first pixel; the first of the image are 0. width, height: in pixels, at least 1.
    Raises ValueError for numbers that no region has. Only `measure` knows whether it is inside the image.
    """

    # A region has one spelling: no sign, space or leading zero. No PNG or JPEG has a side of more than 10 digits: PNG
    # allows 2,147,483,647 pixels.
    PATTERN: ClassVar = "(0|[1-9][0-9]{0,9}),(0|[1-9][0-9]{0,9}),[1-9][0-9]{0,9},[1-9][0-9]{0,9}"

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        """Check the numbers. A bool, a float or a NumPy integer is not taken."""
        x, y, width, height = numbers = astuple(self)
        if not (all(type(number) is int for number in numbers) and min(x, y) >= 0 and min(width, height) >= 1):
            raise ValueError(f"a region is x and y from 0, width and height from 1, as whole numbers, not {numbers}")

    @classmethod
    def read(cls, text: str) -> Self:
        """Read "x,y,width,height" as `str` writes it. Raises ValueError."""
        if not re.fullmatch(cls.PATTERN, text):
            raise ValueError(
                "a region is x,y,width,height: whole numbers, width and height from 1, such as 10,20,300,200"
            )
        return cls(*map(int, text.split(",")))

    def __str__(self) -> str:
        """Return "x,y,width,height"."""
        return ",".join(map(str, astuple(self)))

    @property
    def pixel_count(self) -> int:
        """Width times height."""
        return self.width * self.height

    def is_in(self, size: tuple[int, int]) -> bool:
        """Return whether all of it is in an image of this width and height."""
        return self.x + self.width <= size[0] and self.y + self.height <= size[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices that change the number. docs/measurement.md has the formulas.

    luma: how a color becomes a gray value. alpha: what transparency does. `ignore`: nothing. `weight`: the pixel's
    alpha is its weight in the mean and in every statistic. `black`, `white`: the image is laid on that background.
    region: the only pixels that count, in the average and in every statistic; None for all of the image.
    """

    luma: Luma = "bt601"
    alpha: Alpha = "ignore"
    region: Region | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits on the work for one image. They are checked before a pixel is decoded.

    formats: what the content may be. max_pixels: width times height. max_decoded_bytes: memory that decoding takes, as
    the header tells it. Pixels alone do not tell: a progressive CMYK JPEG takes 12 bytes for each, a gray PNG one.

    The defaults fit a process of 1,769 MB: a file of 100 MB, its copy without metadata, the imports and the pixels take
    1,700 MB. Every PNG and baseline JPEG of 200 million pixels passes, and so does a progressive 4:2:0 JPEG.
    """

    formats: tuple[ImageFormat, ...] = ("PNG", "JPEG")
    max_pixels: int = 200_000_000
    max_decoded_bytes: int = 1_450_000_000
