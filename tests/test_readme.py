"""The examples in README work as pasted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = (Path(__file__).parents[1] / "README.md").read_text()
API_SECTION = README.partition("## Use it from a program")[2].partition("\n## ")[0]


def example(language: str) -> str:
    """The one code block of the API section in this language."""
    [code] = re.findall(rf"```{language}\n(.*?)```", API_SECTION, re.DOTALL)
    return str(code)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo.jpg in a folder of its own."""
    pixels = np.random.default_rng(7).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def intensity(photo: Path) -> float:
    return float(np.asarray(Image.open(photo).convert("L")).mean())


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
