"""Which kinds of TIFF are measured, and a sentence for each one that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_intensity.formats.tiff.picture import (
    BLACK_IS_ZERO,
    BYTE,
    CMYK,
    DEEP,
    DEFLATE,
    JPEG,
    LZW,
    NONE,
    OLD_DEFLATE,
    PACKBITS,
    PALETTE,
    RGB,
    WHITE_IS_ZERO,
    YCBCR,
    corrupt,
    unsupported,
)

if TYPE_CHECKING:
    from image_intensity.formats.tiff.directory import Directory
    from image_intensity.formats.tiff.picture import Tiff

BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 258, 259, 262, 266
NEW_SUBFILE_TYPE, SUBFILE_TYPE, SAMPLES_PER_PIXEL, PLANAR = 254, 255, 277, 284
PREDICTOR, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT = 317, 332, 338, 339
# Values of these tags.
REDUCED, OLD_REDUCED, MASK = 1, 2, 4
REVERSED, PLANES, DIFFERENCES, ONLY_CMYK, UNSIGNED, ASSOCIATED = 2, 2, 2, 1, 1, 1
# More samples than any kind has.
MOST_SAMPLES = 64
MEASURED = {NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, JPEG}
COMPRESSIONS = {
    2: "compressed as a fax (CCITT)",
    3: "compressed as a fax (CCITT group 3)",
    4: "compressed as a fax (CCITT group 4)",
    6: "with old-style JPEG data",
    34676: "in LogLuv",
    34677: "in LogLuv",
    34712: "with JPEG 2000 data",
    34925: "compressed with LZMA",
    50000: "compressed with Zstandard",
    50001: "with WebP data",
}
PHOTOMETRICS = {4: "that is a transparency mask", 8: "in CIELab colors", 9: "in ICCLab colors", 10: "in ITULab colors"}
PHOTOMETRICS |= {32803: "of raw sensor data", 34892: "of raw sensor data", 32844: "in LogLuv", 32845: "in LogLuv"}
FORMATS = {2: "of signed numbers", 3: "of floating-point numbers", 5: "of complex numbers", 6: "of complex numbers"}
AS_UNSIGNED = "Save it with 8 or 16 unsigned bits per sample."
AS_PNG, AS_DEFLATE = "Convert it to PNG.", "Save it with deflate or LZW compression."
# Photometric interpretation -> how many samples a color has, and the depths of those without and with further samples.
COLORS: dict[int, tuple[int, set[int], set[int]]] = {
    WHITE_IS_ZERO: (1, {1, 2, 4, 8, 12, 16}, set()),
    BLACK_IS_ZERO: (1, {1, 2, 4, 8, 12, 16}, {8}),
    RGB: (3, {8, 16}, {8, 16}),
    PALETTE: (1, {1, 2, 4, 8}, set()),
    CMYK: (4, {8, 16}, {8}),
    YCBCR: (3, {8}, set()),
}
# What further samples may be, those of Pillow's modes: unspecified (0), or first an alpha channel (2).
EXTRA: dict[tuple[int, int], set[tuple[int, ...]]] = {
    (BLACK_IS_ZERO, 8): {(0,), (2,)},
    (RGB, 8): {(0,), (0, 0), (0, 0, 0), (2,), (2, 0), (2, 0, 0)},
    (RGB, 16): {(0,), (2,)},
    (CMYK, 8): {(0,), (0, 0)},
}


def read_kind(picture: Tiff, tags: Directory) -> None:
    """Note what kind of page it is. Raises UnsupportedFormat for a kind that is not measured."""
    check_page(tags)
    picture.compression = tags.number(COMPRESSION, NONE)
    if picture.compression not in MEASURED:
        unsupported(COMPRESSIONS.get(picture.compression, "of an unknown compression"), AS_DEFLATE)
    picture.photometric = tags.number(PHOTOMETRIC)
    if picture.photometric not in COLORS:
        unsupported(PHOTOMETRICS.get(picture.photometric, "of an unknown kind of colors"), AS_PNG)
    if tags.number(FILL_ORDER, 1) == REVERSED:
        unsupported("with its bits in reversed order (FillOrder 2)", AS_PNG)
    read_samples(picture, tags)
    read_arrangement(picture, tags)


def check_page(tags: Directory) -> None:
    """Raise UnsupportedFormat if the first page is not the picture."""
    first = tags.number(NEW_SUBFILE_TYPE, 0)
    if first & REDUCED or tags.number(SUBFILE_TYPE, 0) == OLD_REDUCED:
        unsupported("whose first page is a thumbnail", "Save the full picture as its first page.")
    if first & MASK:
        unsupported("whose first page is a transparency mask", "Save the picture as its first page.")


def read_samples(picture: Tiff, tags: Directory) -> None:
    picture.samples = tags.number(SAMPLES_PER_PIXEL, 1)
    depths = tags.numbers(BITS_PER_SAMPLE, MOST_SAMPLES) or [1]
    formats = tags.numbers(SAMPLE_FORMAT, MOST_SAMPLES) or [UNSIGNED]
    picture.extra = tuple(tags.numbers(EXTRA_SAMPLES, MOST_SAMPLES))
    colors, depths_alone, depths_more = COLORS[picture.photometric]
    if picture.samples != colors + len(picture.extra):
        corrupt("it does not say what its samples are")
    if any(len(values) not in {1, picture.samples} for values in (depths, formats)):
        corrupt("it does not say how its samples are stored")
    if {*formats} != {UNSIGNED}:
        unsupported(FORMATS.get(max(formats), "of undefined numbers"), AS_UNSIGNED)
    if len({*depths}) > 1:
        unsupported("with samples of different depths", AS_PNG)
    picture.bit_depth = depths[0]
    if picture.extra and not depths_more:
        unsupported("with further samples beside its colors", AS_PNG)
    if picture.bit_depth not in (depths_more if picture.extra else depths_alone):
        unsupported(f"of {picture.bit_depth} bits per sample with {picture.samples} samples per pixel", AS_UNSIGNED)
    if ASSOCIATED in picture.extra:
        unsupported("with associated alpha (colors multiplied by it)", "Save it with unassociated alpha, or as PNG.")
    if picture.extra and picture.extra not in EXTRA[picture.photometric, picture.bit_depth]:
        unsupported("with further samples beside its colors", AS_PNG)
    if picture.photometric == CMYK and tags.number(INK_SET, ONLY_CMYK) != ONLY_CMYK:
        unsupported("of other inks than CMYK", AS_PNG)


def read_arrangement(picture: Tiff, tags: Directory) -> None:
    """Note how samples are arranged, and how they were made ready for compression."""
    arrangement = tags.number(PLANAR, 1)
    if arrangement not in {1, PLANES}:
        corrupt(f"its tag {PLANAR} is not valid")
    picture.planar = arrangement == PLANES and picture.samples > 1
    if picture.planar and (picture.bit_depth == DEEP or picture.compression == JPEG):
        unsupported(f"of {'16-bit' if picture.bit_depth == DEEP else 'JPEG'} samples in planes", AS_PNG)
    if picture.photometric == YCBCR and picture.compression != JPEG:
        unsupported("in YCbCr colors without JPEG", AS_PNG)
    if picture.compression == JPEG and (picture.extra or picture.bit_depth != BYTE or picture.photometric == PALETTE):
        unsupported("with JPEG data of an unusual kind", AS_PNG)
    if picture.compression in {LZW, DEFLATE, OLD_DEFLATE}:
        picture.predictor = tags.number(PREDICTOR, 1)
        if picture.predictor not in {1, DIFFERENCES}:
            corrupt(f"its tag {PREDICTOR} is not valid")
        if picture.predictor == DIFFERENCES and picture.bit_depth not in {BYTE, DEEP}:
            unsupported(f"of {picture.bit_depth} bits per sample with a predictor", AS_PNG)
