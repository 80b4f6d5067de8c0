"""Measurements by different code or decoders can be told apart."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from contract.invocation import Invocation
from image_intensity import ALGORITHM_VERSION, DECODERS, Options, measuring, version
from tests.core.samples import encoded, measured, pixels

LOCK = Path(__file__).parents[2] / "functions/processor/requirements.txt"


def test_the_decoders_of_the_contract_are_those_that_the_lock_pins() -> None:
    pins = dict(re.findall(r"^([a-z-]+)==([0-9.]+)", LOCK.read_text(), re.MULTILINE))
    assert {name: pins[name] for name in DECODERS} == DECODERS


def test_a_measurement_carries_the_version_that_the_gateway_expects() -> None:
    result = measured(encoded(pixels("L"), "PNG"))
    assert version(result.algorithm, result.decoders) == version()
    assert set(measuring.DECODERS) >= {*DECODERS, "libjpeg-turbo", "zlib-ng"}


@pytest.mark.parametrize("name", [*DECODERS, "algorithm"])
def test_another_decoder_or_algorithm_is_another_version(name: str) -> None:
    other = {**DECODERS, name: "99.0"}
    assert version("99" if name == "algorithm" else ALGORITHM_VERSION, other) != version()


def test_the_event_as_json_is_the_event() -> None:
    invocation = Invocation(image=bytes(range(256)), allowed_formats=("PNG", "JPEG"), max_pixels=7)
    assert json.loads(invocation.to_json()) == invocation.to_event()


def test_an_option_that_is_none_is_not_read_as_the_default() -> None:
    event = Invocation(image=b"", allowed_formats=("PNG",), max_pixels=1, options=Options(luma="mean")).to_event()
    assert Invocation.from_event(event).options == Options(luma="mean")
    for wrong in ({"luma": "bt2020"}, {"alpha": "premultiplied"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} cannot be"):
            Invocation.from_event({**event, **wrong})
