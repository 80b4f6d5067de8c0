"""What the numbers and refusals of a run depend on."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from image_intensity.options import Alpha, ImageFormat, Limits, Luma, Region
from intensity.rows import Method
from intensity.runs.layout import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The largest file that the functions measure: it, its copy and the pixels fit into their memory (see `Limits`).
MAX_BYTES = 100_000_000
Detail = Literal["usual", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """region: "x,y,width,height", or None for whole images. detail: "full" adds statistics, histogram and method."""

    luma: Luma = "bt601"
    alpha: Alpha = "ignore"
    region: str | None = None
    formats: tuple[ImageFormat, ...] = ("PNG", "JPEG")
    max_pixels: int = Limits().max_pixels
    max_bytes: int = MAX_BYTES
    detail: Detail = "usual"

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Read options from JSON. Raises RunError: to take a default for a wrong value would give a wrong number."""
        try:
            options = cls(**{**values, "formats": tuple(values.get("formats", Limits().formats))})
        except TypeError as error:
            raise RunError(f"these are not options of a run: {error}") from error
        possible = (
            options.luma in get_args(Luma)
            and options.alpha in get_args(Alpha)
            and options.detail in get_args(Detail)
            and options.formats
            and set(options.formats) <= set(get_args(ImageFormat))
            and all(type(number) is int for number in (options.max_pixels, options.max_bytes))
            and 0 < options.max_pixels <= Limits().max_pixels
            and 0 < options.max_bytes <= MAX_BYTES
            and (options.region is None or re.fullmatch(Region.PATTERN, options.region))
        )
        if not possible:
            raise RunError(f"these are not options of a run: {values}")
        return options

    @property
    def full(self) -> bool:
        return self.detail == "full"

    def method(self, of_version: str) -> Method:
        """Return the columns that say how a row was measured."""
        return Method(self.luma, self.alpha, self.region, of_version)

    def digest(self, of_version: str) -> str:
        """Return METHOD: sixteen hexadecimal digits that are the same only for the same options and version."""
        told = json.dumps({**asdict(self), "version": of_version}, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]
