"""The measurement of an image: what is computed, kept and sent on."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

from image_intensity.formats.table import ImageFormat  # noqa: TC001 - pydantic reads the types of the fields
from image_intensity.options import LUMA_FORMULAS, OPTIONS, Options

if TYPE_CHECKING:
    from collections.abc import Mapping

BLACK, WHITE = 0, 255

# Part of every cache key and record. Raise it if the number of any image could change, or if an image that was measured
# is now refused. Otherwise leave it.
ALGORITHM_VERSION = "5"
# The decoders are part of them too. The versions are those that functions/processor's lock pins (a
# test compares). zlib is not among them: every version inflates a stream to the same bytes.
DECODERS = {"kornia-rs": "0.2.0", "pillow": "13.0.0", "simplejpeg": "1.9.0"}
# Of `Statistics.percentiles`.
PERCENTILES = (1, 5, 25, 75, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The distribution of the gray values, at the depth that was measured and on the scale 0 to 255.

    median: the mean of the two middle values where their number is even. percentiles: by "1", "5", "25", "75", "95" and
    "99", the smallest value that at least so many percent of the pixels do not exceed. standard_deviation: of the
    pixels as the whole population. entropy: Shannon's, in bits per pixel. share_black and share_white: of the pixels at
    the lowest and the highest value there is, 0 to 1.
    """

    minimum: float
    maximum: float
    median: float
    standard_deviation: float
    percentiles: dict[str, float]
    entropy: float
    share_black: float
    share_white: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The measurement of a content. It has nothing of the sender or the file name.

    average_intensity: mean grayscale value over all pixels of the first frame, or of the region in it, on the scale
        0 (black) to 255 (white): ITU-R BT.601 luma of the stored values, as `PIL.Image.convert("L")` computes it;
        16-bit gray at full depth.
    image_format: what the content is. The file name and the declared type do not matter.
    image_size: width and height in pixels, as stored (EXIF orientation is not applied).
    original_mode: the Pillow mode of the file as opened, for example RGB, L, P, CMYK or I;16.
    pixel_count: pixels that were measured: width times height of the region, or of the image if there is none.
    image_size_bytes: length of the file in bytes.
    statistics: the distribution of the gray values.
    histogram: 256 counts of pixels by gray value; 16-bit values count at the nearest, round(value / 257). With
        alpha="weight" a pixel counts its alpha, 0 to 255.
    options: what the caller chose.
    stored_bit_depth: bits per sample in the file. bit_depth: of the gray values that were measured, 8, 12 or 16.
    frames: pictures in the file, as it declares; the first is measured.
    algorithm: as the function `algorithm` of the code that measured had it.
    decoders: versions of the libraries that decoded.
    """

    average_intensity: float
    image_format: ImageFormat
    image_size: tuple[int, int]
    original_mode: str
    pixel_count: int
    image_size_bytes: int
    statistics: Statistics
    histogram: tuple[int, ...]
    options: Options = field(default_factory=Options)
    stored_bit_depth: int = 8
    bit_depth: Literal[8, 12, 16] = 8
    frames: int = 1
    algorithm: str = ALGORITHM_VERSION
    decoders: dict[str, str] = field(default_factory=lambda: dict(DECODERS))

    def __post_init__(self) -> None:
        """Raise ValueError for values that no image can have. They could come from a broken cache or processor."""
        width, height = self.image_size
        region = self.options.region
        possible = (
            BLACK <= self.average_intensity <= WHITE
            and width > 0
            and height > 0
            and self.pixel_count == (region.pixel_count if region else width * height)
            and (region is None or region.is_in(self.image_size))
            and self.image_size_bytes > 0
            and self.frames > 0
            and len(self.histogram) == WHITE + 1
            and min(self.histogram) >= 0
        )
        if not possible:
            raise ValueError(f"no image measures like this: {self}")

    def to_json(self) -> dict[str, Any]:
        """Return all of it, as messages and records have it."""
        content: dict[str, Any] = _content(self)
        return content

    def method(self, sha256: str) -> dict[str, Any]:
        """Return how it was measured, in the fields that API and command have under `measurement`: enough to repeat it.

        sha256: of the file, hexadecimal.
        """
        weights, divisor = LUMA_FORMULAS[self.options.luma]
        return {
            "algorithm": self.algorithm,
            **self.options.texts(),
            "luma_weights": [weight / divisor for weight in weights],
            "scale": [BLACK, WHITE],
            "bit_depth": self.bit_depth,
            "stored_bit_depth": self.stored_bit_depth,
            "frame": 0,
            "frames": self.frames,
            "sha256": sha256,
            "decoders": dict(self.decoders),
        }


def _content(value: object) -> Any:  # noqa: ANN401 - whatever is in a field
    """Return a dataclass as a dictionary. `asdict` copies each of the 256 counts, which takes a millisecond."""
    if not is_dataclass(value):
        return value
    return {each.name: _content(getattr(value, each.name)) for each in fields(value)}


def algorithm(options: Options) -> str:
    """Return the version of the algorithm under these options, with that of each option that is not its first one."""
    chosen = (option for option in OPTIONS.values() if getattr(options, option.name) != option.default)
    later = (f"{option.name}-{option.version}" for option in chosen if option.version > 1)
    return "+".join([ALGORITHM_VERSION, *later])


def version(algorithm: str = ALGORITHM_VERSION, decoders: Mapping[str, str] = DECODERS) -> str:
    """Return the versions of algorithm and decoders in one text without a colon. Equal texts mean equal numbers."""
    return "+".join([algorithm, *(f"{name}-{decoders.get(name)}" for name in DECODERS)])
