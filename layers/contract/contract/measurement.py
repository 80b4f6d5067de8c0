"""The measurement of an image: what the processor computes and the cache keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BLACK, WHITE = 0, 255

# Part of every cache key and record. Raise it when the number for any image could change, and never otherwise.
ALGORITHM_VERSION = "1"

ImageFormat = Literal["PNG", "JPEG"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What is true of the content alone, whoever sends it under whatever name.

    average_intensity: mean grayscale value over all pixels of the first frame, on the scale 0 (black) to 255 (white):
        ITU-R BT.601 luma of the stored values, as `PIL.Image.convert("L")` computes it; 16-bit gray at full depth.
    image_format: what the content is, whatever its name or declared type.
    image_size: width and height in pixels, as stored (EXIF orientation is not applied).
    original_mode: the Pillow mode of the file as opened, for example RGB, L, P, CMYK or I;16.
    pixel_count: width times height.
    image_size_bytes: length of the file in bytes.
    algorithm: `ALGORITHM_VERSION` of the code that measured.
    """

    average_intensity: float
    image_format: ImageFormat
    image_size: tuple[int, int]
    original_mode: str
    pixel_count: int
    image_size_bytes: int
    algorithm: str = ALGORITHM_VERSION

    def __post_init__(self) -> None:
        """Raise ValueError for what no image can have, wherever it comes from: a cache, a processor, a mistake here."""
        width, height = self.image_size
        possible = (
            BLACK <= self.average_intensity <= WHITE
            and width > 0
            and height > 0
            and self.pixel_count == width * height
            and self.image_size_bytes > 0
        )
        if not possible:
            raise ValueError(f"no image measures like this: {self}")
