"""The number is exact, for every kind of PNG and JPEG there is."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from image_intensity import ALGORITHM_VERSION, CorruptImage, Limits, Options, Region, formats
from image_intensity.formats.png.bands import RUST_MODES
from image_intensity.pixels import kept
from tests.core.images import (
    GRAY,
    INDEXED,
    PNG_KINDS,
    TRUECOLOR,
    TRUECOLOR_ALPHA,
    apng,
    encode,
    encode_png,
    expected,
    mpo,
    noise,
    photo,
    random_png,
    random_samples,
    read_chunks,
    write_chunks,
    ycck,
)
from tests.core.samples import intensity_of, measured, measurement_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = [(color_type, depth) for color_type, (_, depths) in PNG_KINDS.items() for depth in depths]
EIGHT_BIT_KINDS = [kind for kind in KINDS if kind != (GRAY, 16)]
# A size that fills no byte and no Adam7 pass, one that fills both, and sizes with some empty passes.
SIZES = [(29, 19), (32, 16), (1, 1), (2, 3), (5, 1), (1, 9)]
JPEGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gray": ("L", {}),
    "gray, progressive": ("L", {"progressive": True}),
    "gray, restart intervals": ("L", {"restart_marker_blocks": 2}),
    "4:4:4": ("RGB", {"subsampling": "4:4:4"}),
    "4:2:2": ("RGB", {"subsampling": "4:2:2"}),
    "4:2:0": ("RGB", {"subsampling": "4:2:0"}),
    "stored as RGB": ("RGB", {"keep_rgb": True}),
    "progressive": ("RGB", {"progressive": True}),
    "progressive, 4:4:4": ("RGB", {"progressive": True, "subsampling": "4:4:4"}),
    "optimized tables": ("RGB", {"optimize": True}),
    "restart rows": ("RGB", {"restart_marker_rows": 1}),
    "progressive, restart intervals": ("RGB", {"progressive": True, "restart_marker_blocks": 3}),
    "worst quality": ("RGB", {"quality": 1}),
    "best quality": ("RGB", {"quality": 100, "subsampling": "4:4:4"}),
    "CMYK": ("CMYK", {}),
    "CMYK, 4:4:4": ("CMYK", {"subsampling": "4:4:4"}),
    "CMYK, 4:2:2": ("CMYK", {"subsampling": "4:2:2"}),
    "CMYK, progressive": ("CMYK", {"progressive": True}),
    "CMYK, restart intervals": ("CMYK", {"restart_marker_blocks": 2}),
}
# The seed is the same in every run, so that every machine finds the same failures.
PROPERTY = settings(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
LENGTHS = st.integers(1, 64)
SEEDS = st.integers(0, 2**32 - 1)


def mode_of(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode


def full_depth(samples: NDArray[np.uint16]) -> float:
    """Return the mean of 16-bit samples on the scale to 255, with Python's own integers."""
    return sum(samples.ravel().tolist()) / (257 * samples.size)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("color_type", "depth"), EIGHT_BIT_KINDS)
def test_a_png_of_any_kind_measures_as_numpy_and_pillow_do(
    color_type: int, depth: int, size: tuple[int, int], *, interlaced: bool
) -> None:
    data = random_png(size, depth, color_type, interlaced=interlaced)

    measurement = measurement_of(data)

    assert measurement.average_intensity == expected(data)
    assert measurement.image_size == size
    assert measurement.original_mode == mode_of(data)
    assert measurement.image_format == "PNG"


@pytest.mark.parametrize(("color_type", "depth"), [kind for kind in KINDS if kind[0] in {GRAY, 2, INDEXED}])
def test_a_transparent_color_counts_as_the_color_that_it_is(color_type: int, depth: int) -> None:
    opaque = random_png((29, 19), depth, color_type)
    transparent = random_png((29, 19), depth, color_type, transparent=True)

    assert transparent != opaque
    assert intensity_of(transparent) == intensity_of(opaque)
    assert measurement_of(transparent).original_mode == mode_of(transparent)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_of_any_kind_measures_as_numpy_and_pillow_do(name: str, size: tuple[int, int]) -> None:
    mode, options = JPEGS[name]
    data = encode(photo(mode, size), "JPEG", **options)

    measurement = measurement_of(data)

    assert measurement.average_intensity == expected(data)
    assert measurement.image_size == size
    assert measurement.original_mode == mode
    assert measurement.image_format == "JPEG"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": "4:4:4"}], ids=str)
def test_a_ycck_jpeg_measures_as_pillow_converts_it(options: dict[str, Any]) -> None:
    cmyk = encode(photo("CMYK", (40, 24)), "JPEG", **options)
    data = ycck(cmyk)

    assert intensity_of(data) == expected(data) != intensity_of(cmyk)
    assert measurement_of(data).original_mode == "CMYK"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize(("color", "intensity"), [("black", 0.0), ("white", 255.0)])
def test_black_is_0_and_white_is_255_in_every_mode(mode: str, color: str, intensity: float) -> None:
    assert intensity_of(encode(Image.new(mode, (9, 5), color), "PNG")) == intensity


def test_pictures_that_are_measured_at_once_do_not_mix() -> None:
    # They are larger than a strip, and use the kept memory one after another.
    files = [encode(noise("RGB", (800 + 8 * seed, 700), seed), "JPEG") for seed in range(4)]
    intensities = [expected(data) for data in files]
    assert len({*intensities}) == len(files)

    with ThreadPoolExecutor(len(files)) as threads:
        assert [*threads.map(intensity_of, files * 6)] == intensities * 6


def test_a_picture_keeps_its_memory_until_it_has_been_looked_at() -> None:
    first, second = (encode(noise("RGB", (1000, 1000), seed), "JPEG") for seed in range(2))
    pixels = formats.decode(*formats.read(first, Limits()))
    strips = [next(pixels.strips).copy()]
    assert intensity_of(second) == expected(second)
    strips += [strip.copy() for strip in pixels.strips]

    values = np.concatenate([np.asarray(strip.convert("L")).ravel() for strip in strips])
    assert values.mean() == expected(first)


def test_the_next_picture_gets_the_memory_of_the_one_before() -> None:
    addresses = set()
    for seed in range(3):
        data = encode(noise("RGB", (1000, 1000), seed), "JPEG")
        assert intensity_of(data) == expected(data)
        addresses.add(kept[0].ctypes.data)
        measured(data, Options(region=Region(13, 7, 20, 31)))
        addresses.add(kept[0].ctypes.data)

    assert len(addresses) == len(kept) == 1


def test_a_large_picture_does_not_come_on_top_of_the_memory_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    intensity_of(encode(noise("RGB", (100, 100)), "JPEG"))
    assert len(kept) == 1

    # A pixel takes four bytes and a row a pointer of eight.
    monkeypatch.setattr("image_intensity.pixels.KEPT_BYTES", 100)
    intensity_of(random_png((5, 2), 16, TRUECOLOR_ALPHA))
    assert len(kept) == 1
    intensity_of(random_png((5, 5), 16, TRUECOLOR_ALPHA))
    assert kept == []


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("color_type", [GRAY, TRUECOLOR, TRUECOLOR_ALPHA])
def test_a_png_of_8_bits_is_not_left_to_pillow(
    monkeypatch: pytest.MonkeyPatch, color_type: int, *, interlaced: bool
) -> None:
    data = random_png((29, 19), 8, color_type, interlaced=interlaced)
    intensity = expected(data)
    monkeypatch.setattr("image_intensity.formats.png.decoding.load", None)

    assert intensity_of(data) == intensity


class PanicException(BaseException):
    """A panic of Rust, which cannot be imported."""


@pytest.mark.parametrize(("refusal", "answer"), [(Exception, CorruptImage), (PanicException, MemoryError)])
def test_what_rust_refuses_is_damaged_and_where_it_panics_memory_is_short(
    monkeypatch: pytest.MonkeyPatch, refusal: type[BaseException], answer: type[Exception]
) -> None:
    def refuse(*_arguments: object) -> None:
        raise refusal

    data = random_png((29, 19), 8, TRUECOLOR)
    monkeypatch.setattr("image_intensity.formats.png.bands.rust.decode_image_png_u8", refuse)

    with pytest.raises(answer):
        intensity_of(data)


def test_rows_that_are_longer_than_a_stored_block_are_decoded_in_bands_too(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(noise("RGB", (30_000, 40)), "PNG")
    monkeypatch.setattr("image_intensity.formats.png.decoding.load", None)

    assert intensity_of(data) == expected(data)


def test_rows_that_are_too_long_for_bands_are_left_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_png((29, 19), 8, TRUECOLOR)
    monkeypatch.setattr("image_intensity.formats.png.structure.BAND_ROW_BYTES", 86)
    monkeypatch.setattr("image_intensity.formats.png.decoding.bands", None)

    assert intensity_of(data) == expected(data)


def test_a_decoder_that_is_called_wrongly_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUST_MODES, (8, TRUECOLOR), ("unknown", "RGB"))

    with pytest.raises(ValueError, match="values of mode"):
        intensity_of(random_png((29, 19), 8, TRUECOLOR))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_the_measurement_says_how_large_image_and_file_are(image_format: str) -> None:
    # What the decoder does not need is a part of the file.
    data = encode(photo("RGB", (31, 12)), image_format, comment=b"x" * 1000)

    measurement = measurement_of(data)

    assert measurement.image_size == (31, 12)
    assert measurement.pixel_count == 31 * 12
    assert measurement.image_size_bytes == len(data)
    assert measurement.algorithm == ALGORITHM_VERSION


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_exif_orientation_changes_nothing(image_format: str, orientation: int) -> None:
    image = photo("RGB", (31, 12))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation

    measurement = measurement_of(encode(image, image_format, exif=exif))

    assert measurement.image_size == (31, 12)
    assert measurement.average_intensity == intensity_of(encode(image, image_format))


def test_of_a_jpeg_with_two_pictures_the_first_is_measured() -> None:
    bright, dark = Image.new("RGB", (24, 16), "white"), Image.new("RGB", (48, 32), "black")
    data = mpo(bright, dark)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "MPO"

    measurement = measurement_of(data)

    assert (measurement.average_intensity, measurement.image_size, measurement.frames) == (255.0, (24, 16), 2)
    assert measurement.image_format == "JPEG"
    assert intensity_of(mpo(dark, bright)) == 0.0


@pytest.mark.parametrize("default_image", [False, True])
def test_of_an_animated_png_the_first_frame_is_measured(*, default_image: bool) -> None:
    frames = [Image.new("L", (24, 16), gray) for gray in (10, 90, 200)]
    data = apng(*frames, default_image=default_image)
    with Image.open(io.BytesIO(data)) as image:
        assert getattr(image, "n_frames", 1) == 3

    assert intensity_of(data) == 10.0 == expected(data)


@pytest.mark.parametrize(
    "region",
    [(0, 16, 16, 0, 0), (0, 16, 8, 0, 0), (0, 8, 8, 4, 4), (0, 32, 32, 0, 0), (7, 16, 16, 0, 0), (0, 0, 0, 0, 0)],
    ids=str,
)
def test_the_still_image_of_an_animated_png_counts_whatever_the_frame_control_says(region: tuple[int, ...]) -> None:
    # Sequence number, size and place. Pillow would leave the rest of the image black. libpng ignores frame control.
    still = noise("L", (16, 16))
    data = apng(still, noise("L", (16, 16), seed=1))
    control = struct.pack(">IIIIIHHBB", *region, 1, 10, 0, 1)
    first = [chunk.kind for chunk in read_chunks(data)].index(b"fcTL")
    chunks = [
        chunk._replace(content=control) if place == first else chunk for place, chunk in enumerate(read_chunks(data))
    ]

    assert intensity_of(write_chunks(chunks)) == np.asarray(still).mean()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@given(width=LENGTHS, height=LENGTHS, seed=SEEDS)
@PROPERTY
def test_any_png_that_pillow_writes_is_exact(mode: str, width: int, height: int, seed: int) -> None:
    data = encode(noise(mode, (width, height), seed), "PNG")

    assert intensity_of(data) == expected(data)


@given(kind=st.sampled_from(EIGHT_BIT_KINDS), width=LENGTHS, height=LENGTHS, interlaced=st.booleans())
@PROPERTY
def test_any_png_of_any_kind_is_exact(kind: tuple[int, int], width: int, height: int, *, interlaced: bool) -> None:
    color_type, depth = kind
    data = random_png((width, height), depth, color_type, interlaced=interlaced)

    assert intensity_of(data) == expected(data)


@given(width=LENGTHS, height=LENGTHS, seed=SEEDS, interlaced=st.booleans())
@PROPERTY
def test_any_sixteen_bit_gray_png_is_exact(width: int, height: int, seed: int, *, interlaced: bool) -> None:
    samples = random_samples((width, height), 16, GRAY, seed)

    measurement = measurement_of(encode_png(samples, 16, GRAY, interlaced=interlaced))

    assert measurement.average_intensity == full_depth(samples)
    assert measurement.original_mode == "I;16"


@given(name=st.sampled_from(sorted(JPEGS)), width=LENGTHS, height=LENGTHS, seed=SEEDS)
@PROPERTY
def test_any_jpeg_is_exact(name: str, width: int, height: int, seed: int) -> None:
    mode, options = JPEGS[name]
    data = encode(noise(mode, (width, height), seed), "JPEG", **options)

    assert intensity_of(data) == expected(data)
