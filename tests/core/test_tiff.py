"""What a TIFF measures as: every kind, exactly, beside NumPy's sums and other decoders."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_intensity import Limits, Options, Region, measure
from tests.core import tiffs
from tests.core.images import encode, luma, mean, photo
from tests.core.samples import measured
from tests.core.tiffs import BLACK_IS_ZERO, CMYK, DEFLATE, INDEXED, NONE, PACKBITS, RGB, WHITE_IS_ZERO, image

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEIGHT, WIDTH = 61, 83
REGION = Region(5, 7, 40, 33)
# Reasons to decode in another way: compression, rows of a strip, order of bytes, BigTIFF.
FORMS = [
    (NONE, None, "<", False),
    (NONE, 7, ">", False),
    (DEFLATE, 16, "<", False),
    (DEFLATE, None, ">", True),
    (PACKBITS, 16, "<", True),
]


def random(bits: int, *channels: int, seed: int = 1) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, 1 << bits, (HEIGHT, WIDTH, *channels))


def made(samples: NDArray[np.integer], bits: int, photometric: int, form: Any, **more: Any) -> bytes:  # noqa: ANN401 - one of `FORMS`
    compression, rows, order, big = form
    return image(samples, bits, photometric, compression=compression, rows=rows, order=order, big=big, **more)


def check(data: bytes, values: NDArray[np.integer], highest: int = 255) -> None:
    assert measured(data).average_intensity == mean(values, highest)
    part = values[REGION.y : REGION.y + REGION.height, REGION.x : REGION.x + REGION.width]
    assert measured(data, Options(region=REGION)).average_intensity == mean(part, highest)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_gray_counts_at_its_full_depth(bits: int, photometric: int, form: object) -> None:
    samples, highest = random(bits), (1 << bits) - 1
    values = samples if photometric == BLACK_IS_ZERO else highest - samples
    data = made(samples, bits, photometric, form)
    check(data, values, highest)
    result = measured(data)
    assert result.stored_bit_depth == bits
    assert result.bit_depth == max(8, bits)
    assert result.statistics.minimum == float(Fraction(int(values.min()) * 255, highest))
    assert result.statistics.maximum == float(Fraction(int(values.max()) * 255, highest))
    assert sum(result.histogram) == HEIGHT * WIDTH


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("extra", "mode"), [((), "RGB"), ((0,), "RGB"), ((2,), "RGBA")])
def test_colors_count_as_luma_of_their_high_bytes(extra: tuple[int, ...], mode: str, bits: int, form: object) -> None:
    samples = random(bits, 3 + len(extra))
    data = made(samples, bits, RGB, form, more={tiffs.EXTRA: extra} if extra else {})
    check(data, luma(samples >> (bits - 8)))
    assert measured(data).original_mode == mode


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_counts_by_its_colors(bits: int, form: object) -> None:
    samples, palette = random(bits), np.random.default_rng(2).integers(0, 65536, (3, 1 << bits))
    data = made(samples, bits, INDEXED, form, more={tiffs.PALETTE: palette.ravel().tolist()})
    check(data, luma((palette >> 8).T[samples]))


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_counts_as_pillow_converts_it(bits: int) -> None:
    samples = random(bits, 4)
    colors = Image.fromarray((samples >> (bits - 8)).astype(np.uint8), "CMYK").convert("RGB")
    check(image(samples, bits, CMYK, rows=9), luma(np.asarray(colors)))


def test_gray_with_alpha_follows_the_alpha_options() -> None:
    samples = random(8, 2)
    data = image(samples, 8, BLACK_IS_ZERO, more={tiffs.EXTRA: [2]})
    check(data, samples[..., 0])
    weighted = measured(data, Options(alpha="weight")).average_intensity
    assert weighted == pytest.approx(np.average(samples[..., 0], weights=samples[..., 1]))


def test_the_luma_option_is_that_of_the_other_formats() -> None:
    samples = random(8, 3)
    png = encode(Image.fromarray(samples.astype(np.uint8)), "PNG")
    data = image(samples, 8, RGB, rows=10)
    for luma_option in ("bt601", "bt709", "mean"):
        options = Options(luma=luma_option)
        ours, theirs = measured(data, options), measure(png, options)
        assert (ours.average_intensity, ours.statistics) == (theirs.average_intensity, theirs.statistics)


@pytest.mark.parametrize("extra", [(), (0,), (2,), (2, 0)])
@pytest.mark.parametrize("compression", [NONE, DEFLATE])
def test_planes_are_put_together(compression: int, extra: tuple[int, ...]) -> None:
    samples = random(8, 3 + len(extra))
    pack = tiffs.PACKERS[compression]
    planes = [tiffs.rows_of(samples[..., index], 8) for index in range(samples.shape[-1])]
    parts = [pack(b"".join(rows[start : start + 20])) for rows in planes for start in range(0, HEIGHT, 20)]
    tags = tiffs.described((WIDTH, HEIGHT), 8, RGB, len(planes))
    tags |= {tiffs.COMPRESSION: [compression], tiffs.ROWS: [20], tiffs.PLANAR: [2]}
    tags |= {tiffs.EXTRA: [*extra]} if extra else {}
    check(tiffs.tiff(tags, parts), luma(samples))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["1", "L", "I;16", "P", "RGB", "RGBA", "CMYK"])
def test_what_pillow_writes_gives_the_number_of_pillow(mode: str, compression: str) -> None:
    picture = Image.fromarray(random(16).astype(np.uint16)) if mode == "I;16" else photo("RGB", (121, 94)).convert(mode)
    data = encode(picture, "TIFF", compression=compression, strip_size=4096)
    deep = mode == "I;16"
    values = np.asarray(picture if deep else picture.convert("L"))
    assert measured(data).average_intensity == mean(values, 65535 if deep else 255)


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize(
    ("mode", "photometric"), [("L", BLACK_IS_ZERO), ("L", WHITE_IS_ZERO), ("RGB", tiffs.YCBCR), ("CMYK", CMYK)]
)
def test_jpeg_data_gives_the_number_of_libtiff(mode: str, photometric: int, *, tiled: bool) -> None:
    picture = photo(mode, (121, 94))
    data = jpeg_tiff(picture, photometric, tiled=tiled)
    with Image.open(io.BytesIO(data)) as decoded:
        gray = np.asarray(decoded.convert("L"))
    check(data, gray)
    assert measured(data).original_mode == mode


def jpeg_tiff(picture: Image.Image, photometric: int, *, tiled: bool) -> bytes:
    """A TIFF of JPEG strips or tiles, each with its own tables."""
    width, height = (48, 32) if tiled else (picture.width, 32)
    parts = []
    for top in range(0, picture.height, height):
        for left in range(0, picture.width, width):
            bottom = top + height if tiled else min(top + height, picture.height)
            parts.append(without_colors(encode(picture.crop((left, top, left + width, bottom)), "JPEG", quality=90)))
    channels = len(picture.getbands())
    tags = tiffs.described(picture.size, 8, photometric, channels) | {tiffs.COMPRESSION: [tiffs.JPEG]}
    tags |= {tiffs.TILE_WIDTH: [width], tiffs.TILE_HEIGHT: [height]} if tiled else {tiffs.ROWS: [height]}
    return tiffs.tiff(tags, parts)


def without_colors(jpeg: bytes) -> bytes:
    """A JPEG without the Adobe segment: a TIFF says what its colors are."""
    start = jpeg.find(b"\xff\xee\x00\x0eAdobe")
    return jpeg if start < 0 else jpeg[:start] + jpeg[start + 16 :]


def test_the_first_page_counts_and_all_are_counted() -> None:
    pages = [photo("L", (40, 30), seed) for seed in range(3)]
    result = measured(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert result.frames == 3
    assert result.average_intensity == float(np.asarray(pages[0]).mean())


def test_orientation_is_not_applied() -> None:
    samples = random(8)
    data = image(samples, more={274: [6]})
    assert measured(data).image_size == (WIDTH, HEIGHT)
    check(data, samples)


def test_tiff_is_not_measured_unless_it_is_allowed() -> None:
    with pytest.raises(Exception, match="not PNG or JPEG"):
        measure(image(random(8)), limits=Limits())


# Where Pillow's number is wrong: tifffile reads the samples as they are stored.
@pytest.mark.parametrize("bits", [12, 16])
def test_where_pillow_is_wrong_tifffile_agrees(bits: int) -> None:
    samples, highest = random(bits), (1 << bits) - 1
    data = image(samples, bits, WHITE_IS_ZERO if bits == 16 else BLACK_IS_ZERO, rows=10)
    stored = samples if bits == 12 else tifffile.imread(io.BytesIO(data))
    values = highest - stored if bits == 16 else stored
    assert measured(data).average_intensity == mean(values, highest)
    with Image.open(io.BytesIO(data)) as picture:
        theirs = np.asarray(picture).astype(np.int64).sum() / (257 * samples.size)
    assert abs(theirs - mean(values, highest)) > 0.5


def test_a_damaged_tag_of_metadata_changes_no_number() -> None:
    """Pillow loses all tags behind it: here the predictor, and so the number."""
    samples = random(8)
    differences = np.diff(samples, axis=1, prepend=0) & 255
    # Software, with a value that ends behind the file.
    data = image(differences, compression=DEFLATE, more={305: b"x" * 40, tiffs.PREDICTOR: [2]})
    place = data.index((305).to_bytes(2, "little") + (7).to_bytes(2, "little")) + 8
    damaged = data[:place] + (len(data) + 5).to_bytes(4, "little") + data[place + 4 :]
    check(damaged, samples)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(data)), samples)
