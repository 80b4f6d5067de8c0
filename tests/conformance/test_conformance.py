"""The processor agrees with the conformance set, and the set is the one that its program makes."""

from __future__ import annotations

import json

import pytest

from image_intensity import Options, Region
from tests.conformance.__main__ import FOLDER, expected_regions, png_cases, tiff_cases, webp_cases
from tests.core.samples import measured

EXPECTED: dict[str, float] = json.loads((FOLDER / "expected.json").read_text())
REGIONS: dict[str, dict[str, float]] = json.loads((FOLDER / "expected-regions.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_the_average_is_the_expected_one_to_the_last_bit(name: str) -> None:
    assert measured((FOLDER / name).read_bytes()).average_intensity == EXPECTED[name]


@pytest.mark.parametrize(
    ("name", "region"), [(name, region) for name, regions in REGIONS.items() for region in regions]
)
def test_the_average_of_a_region_is_the_expected_one_to_the_last_bit(name: str, region: str) -> None:
    result = measured((FOLDER / name).read_bytes(), Options(region=Region.read(region)))
    assert result.average_intensity == REGIONS[name][region]


def test_every_image_has_an_expected_value() -> None:
    images = {file.name for file in FOLDER.iterdir() if file.suffix in {".png", ".jpg", ".webp", ".tif"}}
    assert images == EXPECTED.keys() == REGIONS.keys()
    assert len(images) > 25


def test_the_expected_values_are_those_of_the_formulas() -> None:
    cases = png_cases() | tiff_cases() | {name: case for name, case in webp_cases().items() if "lossless" in name}
    assert {name: case.average() for name, case in cases.items()} == {
        name: value for name, value in EXPECTED.items() if name in cases
    }
    assert expected_regions(cases) == {name: value for name, value in REGIONS.items() if name in cases}
