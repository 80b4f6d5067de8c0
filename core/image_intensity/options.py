"""What the caller chooses: how gray values are made, and the limits on the work for an image."""

from __future__ import annotations

import re
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, get_args

from image_intensity.formats.table import DEFAULT_FORMATS, ImageFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

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


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of pixels as the file stores them, before any EXIF orientation.

    x, y: the column and the row of its first pixel; the first of the image are 0. width, height: in pixels, at least 1.
    Raises ValueError for numbers that no region has. Only `measure` knows whether it is inside the image.
    """

    # A region has one spelling: no sign, space or leading zero. No PNG or JPEG has a side of more than 10 digits: PNG
    # allows 2,147,483,647 pixels.
    FORM: ClassVar = "x,y,width,height"
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
        return ",".join(map(str, astuple(self)))

    @property
    def pixel_count(self) -> int:
        return self.width * self.height

    def is_in(self, size: tuple[int, int]) -> bool:
        return self.x + self.width <= size[0] and self.y + self.height <= size[1]


class Option(NamedTuple):
    """What there is to know of a field of `Options`. Every place that offers or keeps options reads it here.

    values: the texts that it can be. If they cannot be listed, kind: its class, with `read` for a text, `str` for the
    text again, the `PATTERN` of texts and their `FORM` for people; then it may also be None.
    version: raise it, instead of `ALGORITHM_VERSION`, if only numbers under other values than the default change.
    """

    name: str
    description: str
    default: Any
    values: tuple[str, ...] = ()
    kind: type[Region] | None = None
    version: int = 1

    def checked(self, value: object) -> Any:  # noqa: ANN401 - of any option
        """Return a value, made from its text where it is one. Raises ValueError."""
        if self.kind and isinstance(value, str):
            return self.kind.read(value)
        if value in self.values or (self.kind and (value is None or isinstance(value, self.kind))):
            return value
        allowed = f"a {self.kind.__name__}, its text {self.kind.FORM}, or None" if self.kind else ", ".join(self.values)
        raise ValueError(f"{self.name} cannot be {value!r}; it may be {allowed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices that change the number. docs/measurement.md has the formulas.

    A value may also be given as text, as in the API: `Options(region="10,20,300,200")`. Raises ValueError.
    """

    luma: Luma = field(
        default="bt601",
        metadata={"description": "how a color becomes a gray value", "values": get_args(Luma)},
    )
    alpha: Alpha = field(
        default="ignore",
        metadata={
            "description": "what transparency does: ignore it, count it as the pixel's weight, or lay the image on "
            "black or white",
            "values": get_args(Alpha),
        },
    )
    region: Region | None = field(
        default=None,
        metadata={
            "description": "the only rectangle that is measured, in pixels as the file stores them; all of it must be "
            "in the image",
            "kind": Region,
        },
    )

    def __post_init__(self) -> None:
        """Check every value. To take a default for a wrong one would give a wrong number."""
        for name, option in OPTIONS.items():
            object.__setattr__(self, name, option.checked(getattr(self, name)))

    def texts(self) -> dict[str, str | None]:
        """Return the value of every option as text; None for one that is not set. `Options(**texts)` reads them."""
        return {name: None if (value := getattr(self, name)) is None else str(value) for name in OPTIONS}

    def key(self) -> str:
        """Return one text for all of them, for names of records: the same only for the same options."""
        return "&".join(f"{name}={text}" for name, text in self.texts().items() if text is not None)

    def to_json(self) -> dict[str, Any]:
        """Return them as our own messages have them."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read them from a message, which may have other fields; an option that is missing has its default.

        Raises ValueError, TypeError or KeyError for an invalid value.
        """
        given = {name: content[name] for name in OPTIONS if name in content}
        for name, value in given.items():
            kind = OPTIONS[name].kind
            if kind and value is not None:
                given[name] = kind(**{part.name: value[part.name] for part in fields(kind)})
        return cls(**given)


OPTIONS = {each.name: Option(each.name, default=each.default, **each.metadata) for each in fields(Options)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits on the work for one image. They are checked before a pixel is decoded.

    formats: what the content may be. max_pixels: width times height. max_decoded_bytes: memory that decoding takes, as
    the header tells it. Pixels alone do not tell: a progressive CMYK JPEG takes 12 bytes for each, a gray PNG one.

    The defaults fit a process of 1,769 MB: a file of 100 MB, its copy without metadata, the imports and the pixels take
    1,700 MB. Every PNG and baseline JPEG of 200 million pixels passes, and so does a progressive 4:2:0 JPEG.
    """

    formats: tuple[ImageFormat, ...] = DEFAULT_FORMATS
    max_pixels: int = 200_000_000
    max_decoded_bytes: int = 1_450_000_000
