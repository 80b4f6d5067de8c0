"""The processor agrees with the conformance set, and the set is the one that its program makes."""

from __future__ import annotations

import json

import pytest

from tests.conformance.__main__ import FOLDER, png_cases
from tests.core.samples import measured

EXPECTED: dict[str, float] = json.loads((FOLDER / "expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_the_average_is_the_expected_one_to_the_last_bit(name: str) -> None:
    assert measured((FOLDER / name).read_bytes()).average_intensity == EXPECTED[name]


def test_every_image_has_an_expected_value() -> None:
    images = {file.name for file in FOLDER.iterdir() if file.suffix in {".png", ".jpg"}}
    assert images == EXPECTED.keys()
    assert len(images) > 15


def test_the_expected_values_are_those_of_the_formulas() -> None:
    assert {name: value for name, (_, value) in png_cases().items()} == {
        name: value for name, value in EXPECTED.items() if name.endswith(".png")
    }
