"""The examples in README work as pasted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.support import executable, ministack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

README = (Path(__file__).parents[1] / "README.md").read_text()


def example(language: str, section: str = "Use it from a program") -> str:
    """The one code block of a section in this language."""
    text = README.partition(f"## {section}\n")[2].partition("\n## ")[0]
    [code] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(code)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo.jpg in a folder of its own."""
    pixels = np.random.default_rng(7).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def intensity(photo: Path) -> float:
    return float(np.asarray(Image.open(photo).convert("L")).mean())


@pytest.fixture
def panorama(tmp_path: Path) -> Path:
    """A panorama.png above the inline limit."""
    pixels = np.random.default_rng().integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "panorama.png", compress_level=0)
    return tmp_path / "panorama.png"


@pytest.fixture(scope="module")
def server_with_storage(serve: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """What `make run` serves."""
    with serve(MINISTACK=ministack()) as address:
        yield address


@pytest.mark.parametrize("language", ["sh", "python"])
def test_the_examples_for_large_images_print_the_intensity_and_the_second_time_upload_nothing(
    server_with_storage: str, panorama: Path, language: str
) -> None:
    executable("jq")
    code = example(language, "Large images").replace("http://localhost:5000", server_with_storage)
    start = ["bash", "-c"] if language == "sh" else [sys.executable, "-c"]
    sending, failing = {"sh": ("file=@$file", "file=@nothing"), "python": ('{"file": content}', "1 / 0")}[language]
    assert sending in code
    # The second time, whoever sends the file gets an error and no number.
    for program in (code, code.replace(sending, failing)):
        printed = subprocess.run([*start, program], cwd=panorama.parent, capture_output=True, check=True, text=True)
        assert str(intensity(panorama)) in printed.stdout
        assert "panorama.png" in printed.stdout


def test_the_curl_example_for_large_images_prints_what_is_wrong(server_with_storage: str, tmp_path: Path) -> None:
    executable("jq")
    (tmp_path / "panorama.png").write_bytes(b"")
    code = example("sh", "Large images").replace("http://localhost:5000", server_with_storage)
    printed = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert json.loads(printed.stdout)["code"] == "empty_file"


def test_the_curl_example_prints_the_intensity(server: str, photo: Path) -> None:
    command = example("sh").replace("http://localhost:5000", server).split()
    answer = json.loads(subprocess.run(command, cwd=photo.parent, capture_output=True, check=True).stdout)
    assert answer["average_intensity"] == intensity(photo)
    assert list(answer) == list(json.loads(example("json")))


def test_the_python_example_prints_the_intensity(server: str, photo: Path) -> None:
    code = example("python").replace("http://localhost:5000", server)
    program = [sys.executable, "-c", code]
    printed = subprocess.run(program, cwd=photo.parent, capture_output=True, check=True, text=True).stdout
    assert printed.startswith(f"{intensity(photo):.2f}, cache: ")
