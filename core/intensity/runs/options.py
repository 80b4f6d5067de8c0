"""What the numbers and refusals of a run depend on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from image_intensity import OPTIONS, ImageFormat, Limits, Options
from intensity.runs.layout import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The largest file that the functions measure: it, its copy and the pixels fit into their memory (see `Limits`).
MAX_BYTES = 100_000_000
Detail = Literal["usual", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """detail: "full" adds statistics, histogram and method. Raises ValueError."""

    measuring: Options = Options()  # noqa: RUF009 - it is frozen
    formats: tuple[ImageFormat, ...] = Limits().formats
    max_pixels: int = Limits().max_pixels
    max_bytes: int = MAX_BYTES
    detail: Detail = "usual"

    def __post_init__(self) -> None:
        possible = (
            self.formats
            and set(self.formats) <= set(get_args(ImageFormat))
            and all(type(number) is int for number in (self.max_pixels, self.max_bytes))
            and 0 < self.max_pixels <= Limits().max_pixels
            and 0 < self.max_bytes <= MAX_BYTES
            and self.detail in get_args(Detail)
        )
        if not possible:
            raise ValueError(f"{self.values()}")

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Read what `values` has written. Raises RunError: a default for a wrong value would give a wrong number."""
        own = {name: value for name, value in values.items() if name not in OPTIONS}
        try:
            measuring = Options(**{name: value for name, value in values.items() if name in OPTIONS})
            return cls(measuring=measuring, **{**own, "formats": tuple(own.get("formats", Limits().formats))})
        except (TypeError, ValueError) as error:
            raise RunError(f"these are not options of a run: {error}") from error

    def values(self) -> dict[str, Any]:
        return {**self.measuring.texts(), **{name: getattr(self, name) for name in OWN}}

    @property
    def full(self) -> bool:
        return self.detail == "full"

    def digest(self, version: str) -> str:
        """Return METHOD: sixteen hexadecimal digits that are the same only for the same options and version."""
        told = json.dumps({**self.values(), "version": version}, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


OWN = tuple(each.name for each in fields(RunOptions) if each.name != "measuring")
