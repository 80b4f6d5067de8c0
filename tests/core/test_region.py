"""region= measures just the pixels of a rectangle: NumPy's slice of the whole image has the same numbers."""

from __future__ import annotations

import io
from dataclasses import astuple, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from image_intensity import (
    Alpha,
    CorruptImage,
    Limits,
    Measurement,
    Options,
    Region,
    RegionOutsideImage,
    TooManyPixels,
    UnsupportedFormat,
    measure,
)
from tests.core.images import (
    GRAY,
    INDEXED,
    TRUECOLOR,
    TRUECOLOR_ALPHA,
    encode,
    mpo,
    noise,
    photo,
    random_png,
    random_samples,
)
from tests.core.samples import chunk, encoded, measured, pixels, png
from tests.core.test_hostility import memory_of
from tests.core.test_measure import EIGHT_BIT_KINDS, JPEGS, LENGTHS, PROPERTY
from tests.core.test_options import ALPHAS, expected_mean
from tests.core.test_statistics import assert_same, by_numpy

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH, HEIGHT = SIZE = (61, 47)
REGIONS = {
    "first pixel": Region(0, 0, 1, 1),
    "last pixel": Region(WIDTH - 1, HEIGHT - 1, 1, 1),
    "first row": Region(0, 0, WIDTH, 1),
    "last row": Region(0, HEIGHT - 1, WIDTH, 1),
    "first column": Region(0, 0, 1, HEIGHT),
    "last column": Region(WIDTH - 1, 0, 1, HEIGHT),
    "all but the last column": Region(0, 0, WIDTH - 1, HEIGHT),
    "all but the first row": Region(0, 1, WIDTH, HEIGHT - 1),
    "middle": Region(13, 7, 20, 31),
    "whole image": Region(0, 0, WIDTH, HEIGHT),
}
every_region = pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)


def cut(values: np.ndarray, region: Region) -> np.ndarray:
    return values[region.y : region.y + region.height, region.x : region.x + region.width]


def gray(data: bytes) -> np.ndarray:
    """The gray values of an 8-bit image as Pillow has them."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"))


def assert_is_of(result: Measurement, values: np.ndarray, top: int = 255) -> None:
    """Check everything that a region changes: `values` are the pixels that count, from 0 to `top`."""
    unit = top // 255
    assert result.average_intensity == int(values.sum(dtype=np.int64)) / (values.size * unit)
    assert_same(result.statistics, by_numpy(values, top))
    nearest = (values.astype(np.int64).ravel() + unit // 2) // unit
    assert result.histogram == tuple(np.bincount(nearest, minlength=256).tolist())
    assert result.pixel_count == values.size == sum(result.histogram)


@every_region
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("color_type", "depth"), EIGHT_BIT_KINDS)
def test_a_region_of_a_png_of_any_kind_is_numpys_slice(
    color_type: int, depth: int, region: Region, *, interlaced: bool
) -> None:
    data = random_png(SIZE, depth, color_type, interlaced=interlaced)
    result = measured(data, Options(region=region))
    assert_is_of(result, cut(gray(data), region))
    assert result.average_intensity == cut(gray(data), region).mean()
    assert (result.image_size, result.options) == (SIZE, Options(region=region))


@every_region
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_region_of_16_bit_gray_is_measured_at_full_depth(region: Region, *, interlaced: bool) -> None:
    data = random_png(SIZE, 16, GRAY, interlaced=interlaced)
    samples = random_samples(SIZE, 16, GRAY)[..., 0]
    assert_is_of(measured(data, Options(region=region)), cut(samples, region), 65535)


@every_region
@pytest.mark.parametrize("name", JPEGS)
def test_a_region_of_a_jpeg_of_any_kind_is_numpys_slice(name: str, region: Region) -> None:
    mode, options = JPEGS[name]
    data = encode(photo(mode, SIZE), "JPEG", **options)
    assert_is_of(measured(data, Options(region=region)), cut(gray(data), region))


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("color_type", "depth"), [(GRAY, 4), (GRAY, 8), (INDEXED, 4), (INDEXED, 8), (TRUECOLOR, 8)])
def test_transparent_colors_count_in_a_region_as_in_an_image_of_it(color_type: int, depth: int, alpha: Alpha) -> None:
    region = REGIONS["middle"]
    data = random_png(SIZE, depth, color_type, transparent=True)
    with Image.open(io.BytesIO(data)) as image:
        rgba = cut(np.asarray(image.convert("RGBA")), region)
    result = measured(data, Options(alpha=alpha, region=region))
    assert result.average_intensity == expected_mean(rgba[..., :3], rgba[..., 3], "bt601", alpha)


def test_a_region_without_a_visible_pixel_is_refused_where_only_visible_ones_count() -> None:
    image = Image.new("LA", (4, 4), (200, 0))
    image.putpixel((3, 3), (100, 255))
    data = encoded(image, "PNG")
    assert measured(data, Options(alpha="weight", region=Region(2, 2, 2, 2))).average_intensity == 100
    assert measured(data, Options(region=Region(0, 0, 3, 3))).average_intensity == 200
    with pytest.raises(UnsupportedFormat, match="fully transparent"):
        measured(data, Options(alpha="weight", region=Region(0, 0, 3, 3)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_the_whole_image_as_a_region_has_the_numbers_of_no_region(mode: str) -> None:
    data = encoded(pixels(mode, SIZE), "PNG")
    whole = measured(data, Options(region=REGIONS["whole image"]))
    assert replace(whole, options=Options()) == measured(data)


@given(data=st.data(), width=LENGTHS, height=LENGTHS, interlaced=st.booleans(), kind=st.sampled_from(EIGHT_BIT_KINDS))
@PROPERTY
def test_any_region_of_any_png_is_exact(
    data: st.DataObject, width: int, height: int, *, interlaced: bool, kind: tuple[int, int]
) -> None:
    file = random_png((width, height), kind[1], kind[0], interlaced=interlaced)
    region = drawn(data, width, height)
    assert_is_of(measured(file, Options(region=region)), cut(gray(file), region))


@given(data=st.data(), width=LENGTHS, height=LENGTHS, name=st.sampled_from(sorted(JPEGS)))
@PROPERTY
def test_any_region_of_any_jpeg_is_exact(data: st.DataObject, width: int, height: int, name: str) -> None:
    mode, options = JPEGS[name]
    file = encode(noise(mode, (width, height)), "JPEG", **options)
    region = drawn(data, width, height)
    assert_is_of(measured(file, Options(region=region)), cut(gray(file), region))


def drawn(data: st.DataObject, width: int, height: int) -> Region:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    return Region(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("band_bytes", [1, 100, 350, 1000, 10**6])
@pytest.mark.parametrize("color_type", [GRAY, TRUECOLOR, TRUECOLOR_ALPHA])
def test_a_region_is_the_same_in_bands_of_any_size(
    monkeypatch: pytest.MonkeyPatch, color_type: int, band_bytes: int, *, interlaced: bool
) -> None:
    # Pillow writes all filters. The interlaced images here have none.
    mode = {GRAY: "L", TRUECOLOR: "RGB", TRUECOLOR_ALPHA: "RGBA"}[color_type]
    data = random_png(SIZE, 8, color_type, interlaced=True) if interlaced else encode(photo(mode, SIZE), "PNG")
    monkeypatch.setattr("image_intensity.formats.png.bands.BAND_BYTES", band_bytes)
    for region in REGIONS.values():
        assert_is_of(measured(data, Options(region=region)), cut(gray(data), region))
    assert_is_of(measured(data), gray(data))


@pytest.mark.parametrize("strip_pixels", [1, 7, 61, 100])
@pytest.mark.parametrize(
    ("mode", "image_format"),
    [("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGB", "PNG"), ("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG")],
)
def test_a_region_is_the_same_in_strips_of_any_size(
    monkeypatch: pytest.MonkeyPatch, mode: str, image_format: str, strip_pixels: int
) -> None:
    data = encoded(pixels(mode, SIZE), image_format)
    monkeypatch.setattr("image_intensity.pixels.STRIP_PIXELS", strip_pixels)
    for region in REGIONS.values():
        assert_is_of(measured(data, Options(region=region)), cut(gray(data), region))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
@pytest.mark.parametrize(("x", "y"), [(1, 0), (0, 1), (1, 1), (10**9, 0), (0, 9_999_999_999), (2**64, 2**64)])
def test_a_region_that_is_not_all_in_the_image_is_an_error_and_never_cut(image_format: str, x: int, y: int) -> None:
    data = encoded(pixels("RGB", SIZE), image_format)
    assert measured(data, Options(region=Region(0, 0, WIDTH, HEIGHT))).pixel_count == WIDTH * HEIGHT
    for region in (Region(x, y, WIDTH, HEIGHT), Region(0, 0, WIDTH + x, HEIGHT + y)):
        needed = f"at least {region.x + region.width} x {region.y + region.height} pixels; this one has 61 x 47"
        with pytest.raises(RegionOutsideImage, match=needed):
            measured(data, Options(region=region))


def test_a_region_outside_costs_no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("image_intensity.formats.decode", None)
    waited: list[int] = []
    with pytest.raises(RegionOutsideImage):
        measure(encoded(pixels("RGB", SIZE), "PNG"), Options(region=Region(61, 0, 1, 1)), reserve=waited.append)
    assert waited == []


@pytest.mark.parametrize("interlace", [0, 1])
def test_damage_outside_the_region_is_damage(interlace: int) -> None:
    region = Options(region=Region(0, 0, 1, 1))
    whole = encoded(pixels("RGB", SIZE), "PNG")
    rows = b"".join(b"\0" + bytes(3 * 9) for _ in range(8)) + b"\7" + bytes(3 * 9)
    wrong_filter = png(rows, (9, 9), 8, 2) if not interlace else random_png(SIZE, 8, TRUECOLOR, interlaced=True)[:-40]
    jpeg = encoded(pixels("RGB", SIZE), "JPEG")
    progressive = encoded(pixels("RGB", SIZE), "JPEG", progressive=True)
    cmyk = encoded(pixels("CMYK", SIZE), "JPEG")
    for damaged in (whole[:-30], wrong_filter, jpeg[:-40] + b"\xff\xd9", progressive[:-40] + b"\xff\xd9", cmyk[:-60]):
        with pytest.raises(CorruptImage):
            measured(damaged, region)


def test_missing_rows_below_the_region_are_damage() -> None:
    rows = b"".join(b"\0" + bytes(9) for _ in range(8))
    for depth, color_type in ((8, 0), (8, 3)):
        palette = chunk(b"PLTE", bytes(3)) if color_type else b""
        data = png(rows, (9, 9), depth, color_type, before=palette)
        with pytest.raises(CorruptImage, match="rows are missing"):
            measured(data, Options(region=Region(0, 0, 2, 2)))


def test_a_limit_on_pixels_is_for_the_whole_image() -> None:
    data = encoded(pixels("RGB", SIZE), "PNG")
    with pytest.raises(TooManyPixels):
        measure(data, Options(region=Region(0, 0, 1, 1)), Limits(max_pixels=WIDTH * HEIGHT - 1))


def test_a_region_is_of_the_first_picture_of_a_file_with_several() -> None:
    first, second = Image.new("RGB", (16, 16), "black"), Image.new("RGB", (32, 32), "white")
    assert measured(mpo(first, second), Options(region=Region(0, 0, 16, 16))).average_intensity == 0
    with pytest.raises(RegionOutsideImage):
        measured(mpo(first, second), Options(region=Region(0, 0, 17, 16)))


def test_a_region_of_an_animated_png_is_of_its_first_frame() -> None:
    frames = [noise("RGB", (16, 16), seed) for seed in range(3)]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    region = Region(3, 4, 10, 12)
    result = measured(data, Options(region=region))
    assert result.frames == 3
    assert_is_of(result, cut(np.asarray(frames[0].convert("L")), region))


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_region_is_of_the_stored_pixels_whatever_the_orientation(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image, region = photo("RGB", SIZE), Region(WIDTH - 5, 0, 5, 7)
    turned, plain = encode(image, "JPEG", exif=exif), encode(image, "JPEG")
    assert measured(turned, Options(region=region)).histogram == measured(plain, Options(region=region)).histogram
    with pytest.raises(RegionOutsideImage):
        measured(turned, Options(region=Region(0, HEIGHT, 1, 1)))


@pytest.mark.parametrize(
    "text",
    [
        *("", "10", "1,2,3", "1,2,3,4,5", "1,2,3,", ",1,2,3", "a,b,c,d", "1;2;3;4"),
        *("1,2,3,4\n", " 1,2,3,4", "1, 2,3,4"),
        *("+1,2,3,4", "-1,2,3,4", "-0,0,1,1", "1.0,2,3,4", "1e3,2,3,4", "0x1,2,3,4", "1_0,2,3,4", "01,2,3,4"),
        *("0,0,0,1", "0,0,1,0", "0,0,-1,1", "12345678901,0,1,1", "\u0661,2,3,4", "\uff11,2,3,4", "\u00b2,0,1,1"),
        *("null", "full", "1,2,3,NaN", "inf,0,1,1", "1,2,3,4\0", "%31,2,3,4", "00,0,1,1", "9" * 10_000),
    ],
)
def test_a_text_that_is_not_just_a_region_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a region is x,y,width,height"):
        Region.read(text)


@given(st.text(alphabet="0123456789,+- .e\u0661", max_size=12))
@PROPERTY
def test_a_text_is_refused_or_is_just_how_the_region_is_written(text: str) -> None:
    try:
        region = Region.read(text)
    except ValueError:
        return
    assert str(region) == text


@pytest.mark.parametrize("text", ["0,0,1,1", "10,20,300,200", "9999999999,9999999999,9999999999,9999999999"])
def test_a_region_has_one_text(text: str) -> None:
    assert str(Region.read(text)) == text
    assert astuple(Region.read(text)) == tuple(map(int, text.split(",")))


NUMBERS: list[tuple[Any, ...]] = [
    *((-1, 0, 1, 1), (0, -1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 1, -1), (True, 0, 1, 1), (0, 0, 1, True)),
    *((0.0, 0, 1, 1), (0, 0, 1.0, 1), ("0", 0, 1, 1), (None, 0, 1, 1), (np.int64(0), 0, 1, 1), (0, 0, float("nan"), 1)),
]


@pytest.mark.parametrize("numbers", NUMBERS, ids=str)
def test_numbers_that_no_region_has_are_refused(numbers: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        Region(*numbers)


def test_a_measurement_that_no_region_can_have_is_refused() -> None:
    result = measured(encoded(pixels("L", SIZE), "PNG"), Options(region=REGIONS["middle"]))
    impossible: dict[str, Callable[[], Measurement]] = {
        "another number of pixels": lambda: replace(result, pixel_count=WIDTH * HEIGHT),
        "a region outside": lambda: replace(result, image_size=(32, 47)),
        "no region": lambda: replace(result, options=Options()),
    }
    for make in impossible.values():
        with pytest.raises(ValueError, match="no image measures like this"):
            make()


@pytest.mark.parametrize("kind", [("PNG", "P"), ("PNG", "1"), ("PNG", "RGB"), ("JPEG", "RGB"), ("JPEG", "L")], ids=str)
def test_a_region_takes_no_more_memory_than_the_whole_image(kind: tuple[str, str]) -> None:
    image_format, mode = kind
    data = encoded(Image.new(mode, (8000, 4000)), image_format)
    strips = 8_000_000
    whole, _, _ = memory_of(data)
    part, _, _ = memory_of(data, region="0,0,7999,4000")
    assert part < whole + strips
