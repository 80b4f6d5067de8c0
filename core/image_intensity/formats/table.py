"""What there is to know of each format before a file is read. All other places that name formats read it here.

It needs the standard library only: the gateway, which has no decoder, reads it too. `png` and its like have the rest: a
package for each format, named as its row, with two modules that are loaded when a file is measured: `structure` has
`read`, and `decoding` has `decode`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from image_intensity.formats import jpeg, png, tiff, webp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ImageFormat = Literal["PNG", "JPEG", "WEBP", "TIFF"]
DEFAULT_FORMATS: tuple[ImageFormat, ...] = ("PNG", "JPEG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A row of the table.

    suffixes: the ends of names by which files are found in folders and buckets, in lower case, without the dot.
    media_types: of a body that is the file. signatures: a file has all bytes of one of these, by their offset.
    copies: how many of the file are in memory while it is decoded. seconds_per_byte: what measuring takes on Lambda,
    for estimates. decoders: libraries in Pillow whose versions are recorded, by the name that they have there.
    """

    suffixes: tuple[str, ...]
    media_types: tuple[str, ...]
    signatures: tuple[Mapping[int, bytes], ...]
    copies: int
    seconds_per_byte: float
    decoders: Mapping[str, str] = field(default_factory=dict)


FORMATS: dict[ImageFormat, Facts] = {
    "PNG": Facts(
        suffixes=("png", "apng"),
        media_types=("image/png",),
        signatures=({0: png.SIGNATURE},),
        copies=1,
        seconds_per_byte=0.09e-6,
    ),
    "JPEG": Facts(
        suffixes=("jpg", "jpeg", "jpe", "jfif", "mpo"),
        media_types=("image/jpeg",),
        signatures=({0: jpeg.SIGNATURE},),
        # It is decoded from a copy without metadata.
        copies=2,
        # Measured on a busy machine of two cores: a file of 1.03 MB and 8.4 megapixels took 60 ms. A virtual CPU of
        # Lambda is slower, and S3 takes time.
        seconds_per_byte=0.09e-6,
    ),
    "WEBP": Facts(
        suffixes=("webp",),
        media_types=("image/webp",),
        signatures=(webp.SIGNATURE,),
        # The parts that decoders get are copies.
        copies=2,
        # Twice the time of JPEG for each pixel, and half of the bytes.
        seconds_per_byte=0.4e-6,
        decoders={"libwebp": "webp"},
    ),
    "TIFF": Facts(
        suffixes=("tif", "tiff"),
        media_types=("image/tiff",),
        signatures=tuple({0: signature} for signature in tiff.SIGNATURES),
        # A strip of JPEG that is the whole picture is copied with its tables, and again without metadata.
        copies=3,
        seconds_per_byte=0.02e-6,
        decoders={"libtiff": "libtiff", "libjpeg-turbo": "libjpeg_turbo"},
    ),
}


def detect(data: bytes) -> ImageFormat | None:
    """Return the format that the first bytes declare, or None."""
    for name, facts in FORMATS.items():
        for signature in facts.signatures:
            if all(data.startswith(part, offset) for offset, part in signature.items()):
                return name
    return None


def suffixes_of(formats: Iterable[ImageFormat]) -> frozenset[str]:
    """Return the ends of names by which files of any of these formats are found."""
    return frozenset(suffix for name in formats for suffix in FORMATS[name].suffixes)


def media_types_of(formats: Iterable[ImageFormat]) -> list[str]:
    """Return the media types of bodies that are a file of any of these formats, in alphabetical order."""
    return sorted(kind for name in formats for kind in FORMATS[name].media_types)


def in_words(formats: Iterable[str]) -> str:
    """Return "PNG", "PNG or JPEG", "PNG, JPEG or WEBP"."""
    *others, last = formats
    return f"{', '.join(others)} or {last}" if others else last
