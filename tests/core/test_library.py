"""The core as its users meet it: imported, called, and refusing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import image_intensity
from image_intensity import EmptyFile, Limits, MeasurementError, Options, TooManyPixels, UnsupportedFormat, measure
from tests.core.samples import encoded, pixels


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


def test_measure_needs_nothing_but_the_bytes() -> None:
    image = pixels("RGB")
    assert measure(encoded(image, "PNG")).average_intensity == np.asarray(image.convert("L")).mean()


def test_options_and_limits_are_what_the_caller_says() -> None:
    data = encoded(Image.new("RGB", (3, 2), (30, 60, 90)), "PNG")
    assert measure(data, Options(luma="mean")).average_intensity == 60
    with pytest.raises(TooManyPixels, match="at most 5 are measured"):
        measure(data, limits=Limits(max_pixels=5))
    with pytest.raises(UnsupportedFormat, match="not JPEG"):
        measure(data, limits=Limits(formats=("JPEG",)))


def test_an_error_is_a_code_and_a_sentence_that_fits_a_terminal() -> None:
    with pytest.raises(MeasurementError) as refusal:
        measure(b"")
    error = refusal.value
    assert (type(error), error.code, error.detail, str(error)) == (
        EmptyFile,
        "empty_file",
        "The file has no bytes.",
        "The file has no bytes.",
    )


def test_every_error_of_the_core_is_a_problem_of_the_api() -> None:
    from contract.problems import ProblemCode  # noqa: PLC0415 - the core itself knows nothing of it

    assert {ProblemCode(error.code) for error in MeasurementError.__subclasses__()} == {
        ProblemCode.EMPTY_FILE,
        ProblemCode.UNSUPPORTED_FORMAT,
        ProblemCode.CORRUPT_IMAGE,
        ProblemCode.TOO_MANY_PIXELS,
        ProblemCode.REGION_OUTSIDE_IMAGE,
    }
