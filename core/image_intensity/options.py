"""What the caller chooses: how gray values are made, and the limits on the work for an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

ImageFormat = Literal["PNG", "JPEG"]
Luma = Literal["bt601", "bt709", "mean"]
Alpha = Literal["ignore", "weight", "black", "white"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices that change the number. docs/measurement.md has the formulas.

    luma: how a color becomes a gray value. alpha: what transparency does. `ignore`: nothing. `weight`: the pixel's
    alpha is its weight in the mean and in every statistic. `black`, `white`: the image is laid on that background.
    """

    luma: Luma = "bt601"
    alpha: Alpha = "ignore"


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
