"""luma= and alpha= do what docs/measurement.md says, pixel by pixel."""

from __future__ import annotations

import dataclasses
import io
import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image

from image_intensity import (
    ALGORITHM_VERSION,
    OPTIONS,
    Alpha,
    CorruptImage,
    Luma,
    Options,
    Region,
    UnsupportedFormat,
    algorithm,
)
from tests.core.samples import chunk, encoded, measured, pixels, png

ALPHAS: tuple[Alpha, ...] = ("ignore", "weight", "black", "white")
LUMAS: tuple[Luma, ...] = ("bt601", "bt709", "mean")


def expected_gray(color: np.ndarray, luma: Luma) -> np.ndarray:
    red, green, blue = (color[..., channel].astype(object) for channel in range(3))
    formulas: dict[Luma, np.ndarray] = {
        "bt601": (19595 * red + 38470 * green + 7471 * blue + 32768) // 65536,
        "bt709": (13933 * red + 46871 * green + 4732 * blue + 32768) // 65536,
        "mean": (red + green + blue + 1) // 3,
    }
    return formulas[luma]


def expected_mean(color: np.ndarray, opacity: np.ndarray, luma: Luma, alpha: Alpha) -> float:
    gray, opacity = expected_gray(color, luma), opacity.astype(object)
    if alpha == "ignore":
        return int(gray.sum()) / gray.size
    if alpha == "weight":
        return int((gray * opacity).sum()) / int(opacity.sum())
    background = 255 if alpha == "white" else 0
    return int(((opacity * gray + (255 - opacity) * background + 127) // 255).sum()) / gray.size


@pytest.mark.parametrize("region", [None, Region(13, 7, 20, 31)], ids=["all", "region"])
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("luma", LUMAS)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_option_is_its_formula(mode: str, luma: Luma, alpha: Alpha, region: Region | None) -> None:
    image = pixels(mode)
    x, y, width, height = dataclasses.astuple(region or Region(0, 0, *image.size))
    rgba = np.asarray(image.convert("RGBA"))[y : y + height, x : x + width]
    options = Options(luma=luma, alpha=alpha, region=region)
    result = measured(encoded(image, "PNG"), options)
    assert result.average_intensity == expected_mean(rgba[..., :3], rgba[..., 3], luma, alpha)
    assert result.options == options


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("luma", LUMAS)
def test_palette_entries_have_alphas_of_their_own(luma: Luma, alpha: Alpha) -> None:
    data = encoded(pixels("P"), "PNG", transparency=bytes(range(0, 250, 2)))
    with Image.open(io.BytesIO(data)) as image:
        rgba = np.asarray(image.convert("RGBA"))
    result = measured(data, Options(luma=luma, alpha=alpha))
    assert result.average_intensity == expected_mean(rgba[..., :3], rgba[..., 3], luma, alpha)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_one_color_can_be_transparent(alpha: Alpha) -> None:
    color = np.random.default_rng(3).integers(0, 3, (20, 30, 3), np.uint8) * 100
    data = encoded(Image.fromarray(color), "PNG", transparency=(100, 200, 0))
    opacity = np.where((color == (100, 200, 0)).all(axis=-1), 0, 255)
    assert 0 < (opacity == 0).sum() < opacity.size
    assert measured(data, Options(alpha=alpha)).average_intensity == expected_mean(color, opacity, "bt601", alpha)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_one_gray_value_can_be_transparent_at_any_depth(depth: int, alpha: Alpha) -> None:
    width, height, top = 64, 5, (1 << depth) - 1
    samples = np.random.default_rng(4).integers(0, top + 1, (height, width))
    key = int(samples[0, 0])
    bits = (samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    # The bits above the depth mean nothing.
    stray = 0 if depth == 16 else 1 << depth
    data = png(rows, (width, height), depth, 0, before=chunk(b"tRNS", (key | stray).to_bytes(2, "big")))
    scaled = samples / top * 255
    opaque = samples != key
    expected = {
        "ignore": scaled.mean(),
        "weight": scaled[opaque].mean(),
        "black": np.where(opaque, scaled, 0).mean(),
        "white": np.where(opaque, scaled, 255).mean(),
    }
    assert measured(data, Options(alpha=alpha)).average_intensity == pytest.approx(expected[alpha], rel=1e-12)


def test_damaged_transparency_matters_only_where_it_counts() -> None:
    trns = chunk(b"tRNS", b"\0\1")
    data = png(b"\0\1\2\3", (3, 1), 8, 0, before=trns[:-1] + bytes([trns[-1] ^ 1]))
    assert measured(data).average_intensity == 2
    with pytest.raises(CorruptImage, match="cannot be relied on"):
        measured(data, Options(alpha="white"))


def test_a_transparent_16_bit_color_is_refused_where_it_counts() -> None:
    data = png(b"\0" + b"\1\2\3\4\5\6", (1, 1), 16, 2, before=chunk(b"tRNS", b"\1\2\3\4\5\6"))
    assert measured(data).stored_bit_depth == 16
    with pytest.raises(UnsupportedFormat, match="alpha=ignore only"):
        measured(data, Options(alpha="black"))


def test_a_jpeg_is_opaque() -> None:
    data = encoded(pixels("RGB"), "JPEG")
    assert len({measured(data, Options(alpha=alpha)).average_intensity for alpha in ALPHAS}) == 1


CHOICES = [
    Options(luma=luma, alpha=alpha, region=region)
    for luma, alpha, region in itertools.product(LUMAS, ALPHAS, (None, Region(0, 0, 1, 1), Region(1, 11, 1, 1)))
]


@pytest.mark.parametrize("options", CHOICES, ids=Options.key)
def test_options_are_the_same_after_the_way_as_text_and_as_json(options: Options) -> None:
    assert Options(**options.texts()) == options  # type: ignore[arg-type] # as text, what a caller may have
    assert Options.from_json({**options.to_json(), "unknown": 1}) == options


def test_no_two_choices_have_one_key() -> None:
    assert len({options.key() for options in CHOICES}) == len(CHOICES)
    assert all(":" not in options.key() for options in CHOICES)


def test_every_field_of_the_options_says_what_it_is_and_can_be() -> None:
    assert list(OPTIONS) == [field.name for field in dataclasses.fields(Options)]
    for option in OPTIONS.values():
        assert option.description
        assert bool(option.values) != bool(option.kind)
        assert option.default in {None, *option.values[:1]}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"luma": "foo"}, "luma cannot be 'foo'; it may be bt601, bt709, mean"),
        ({"luma": None}, "luma cannot be None"),
        ({"alpha": 1}, "alpha cannot be 1; it may be ignore, weight, black, white"),
        ({"alpha": ["ignore"]}, "alpha cannot be"),
        ({"region": "1,2,3"}, "a region is x,y,width,height"),
        ({"region": ""}, "a region is x,y,width,height"),
        ({"region": (1, 2, 3, 4)}, "it may be a Region, its text x,y,width,height, or None"),
        ({"region": False}, "region cannot be False"),
    ],
    ids=str,
)
def test_a_value_that_an_option_cannot_have_is_an_error_at_once(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Options(**wrong)


def test_a_later_version_of_an_option_counts_only_where_it_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {options: algorithm(options) for options in CHOICES}
    assert set(before.values()) == {ALGORITHM_VERSION}
    monkeypatch.setitem(OPTIONS, "alpha", OPTIONS["alpha"]._replace(version=2))
    for options in CHOICES:
        assert (algorithm(options) == before[options]) == (options.alpha == "ignore")
    data = encoded(Image.new("LA", (3, 3), (200, 9)), "PNG")
    assert measured(data, Options(alpha="white")).algorithm == f"{ALGORITHM_VERSION}+alpha-2"
    assert measured(data).algorithm == ALGORITHM_VERSION
