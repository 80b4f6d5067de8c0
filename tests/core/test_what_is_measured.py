"""What `measure` takes, and what it says of anything else."""

from __future__ import annotations

import io
import pydoc
from typing import TYPE_CHECKING, Any

import pytest

import image_intensity
from image_intensity import Limits, Options, Region, TooManyPixels, measure
from tests.core.samples import encoded, pixels

if TYPE_CHECKING:
    from pathlib import Path

DATA = encoded(pixels("RGB"), "PNG")


def test_bytes_a_path_and_a_binary_file_give_the_same(tmp_path: Path) -> None:
    path, expected = tmp_path / "a.png", measure(DATA)
    path.write_bytes(DATA)
    with path.open("rb") as opened:
        same: list[Any] = [bytearray(DATA), memoryview(DATA), path, str(path), opened, io.BytesIO(DATA)]
        found = [measure(given) for given in same]
    assert found == [expected] * 6


@pytest.mark.parametrize("given", [None, 7, ["a.png"], io.StringIO("text"), pixels("L")])
def test_anything_else_is_a_type_error_that_says_so(given: Any) -> None:  # noqa: ANN401 - that is the point
    with pytest.raises(
        TypeError, match=r"measure takes bytes, a path \(str or Path\) or a file opened with \"rb\", not "
    ):
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
    with pytest.raises(TooManyPixels):
        measure(DATA, limits=Limits(max_pixels=1))
