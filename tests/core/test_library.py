"""The core as its users meet it: what it exports and shows, what `measure` takes, and how it refuses."""

from __future__ import annotations

import io
import pydoc
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import image_intensity
from contract.problems import ProblemCode
from image_intensity import Limits, MeasurementError, Options, Region, TooManyPixels, UnsupportedFormat, measure
from tests.core.samples import encoded, pixels

if TYPE_CHECKING:
    from pathlib import Path

DATA = encoded(pixels("RGB"), "PNG")


def test_the_types_load_without_numpy_and_pillow_and_measure_loads_them() -> None:
    program = """
import sys
import image_intensity
print([name for name in ("numpy", "PIL", "simplejpeg", "zlib_ng", "kornia_rs") if name in sys.modules])
from image_intensity import measure
print(measure.__module__, "numpy" in sys.modules, image_intensity.measure is measure)
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == ["[]", "image_intensity.measuring True True"]


def test_every_name_that_the_package_exports_is_there() -> None:
    for name in image_intensity.__all__:
        assert getattr(image_intensity, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = image_intensity.nothing_of_this_name


def test_bytes_a_path_and_a_binary_file_give_the_same(tmp_path: Path) -> None:
    path, expected = tmp_path / "a.png", measure(DATA)
    assert expected.average_intensity == np.asarray(pixels("RGB").convert("L")).mean()
    path.write_bytes(DATA)
    with path.open("rb") as opened:
        same: list[Any] = [bytearray(DATA), memoryview(DATA), path, str(path), opened, io.BytesIO(DATA)]
        assert [measure(given) for given in same] == [expected] * 6


@pytest.mark.parametrize("given", [None, 7, ["a.png"], io.StringIO("text"), pixels("L")])
def test_anything_else_is_a_type_error_that_says_so(given: Any) -> None:  # noqa: ANN401 - that is the point
    sentence = r"measure takes bytes, a path \(str or Path\) or a file opened with \"rb\", not "
    with pytest.raises(TypeError, match=sentence):
        measure(given)


def test_a_path_without_a_file_is_the_error_of_open() -> None:
    with pytest.raises(FileNotFoundError):
        measure("no such file")


def test_what_help_shows_works() -> None:
    shown = pydoc.plain(pydoc.render_doc(image_intensity))
    for text in ("measure(data: ", "Options(region=", "max_pixels=", "error.code", "Slot(seconds=60)", "class Limits"):
        assert text in shown
    as_text: Any = "3,4,20,17"
    assert measure(DATA, Options(region=as_text)) == measure(DATA, Options(region=Region(3, 4, 20, 17)))
    with pytest.raises(TooManyPixels, match="at most 5 are measured"):
        measure(DATA, limits=Limits(max_pixels=5))
    with pytest.raises(UnsupportedFormat, match="not JPEG"):
        measure(DATA, limits=Limits(formats=("JPEG",)))


def test_an_error_is_a_code_and_a_sentence_that_fits_a_terminal() -> None:
    with pytest.raises(image_intensity.EmptyFile) as refusal:
        measure(b"")
    assert (refusal.value.code, refusal.value.detail) == ("empty_file", "The file has no bytes.")
    assert str(refusal.value) == refusal.value.detail


def test_every_error_of_the_core_is_a_problem_of_the_api() -> None:
    codes = {"empty_file", "unsupported_format", "corrupt_image", "too_many_pixels", "region_outside_image"}
    assert {ProblemCode(error.code) for error in MeasurementError.__subclasses__()} == {*map(ProblemCode, codes)}
