"""The core, installed as a user does it: into an empty virtual environment, with and without the command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.core.samples import encoded, pixels
from tests.support import executable, missing

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
UV = REPOSITORY / ".venv/bin/uv"


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run uv, which `make test` has installed."""
    program = str(UV) if UV.exists() else executable("uv")
    return subprocess.run([program, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.fixture
def install(tmp_path: Path) -> Callable[[str], Path]:
    """Install the core with the extras of an argument such as `[cli]`; returns the folder of its programs."""

    def run(extras: str = "") -> Path:
        folder = tmp_path / "environment"
        assert uv("venv", "--quiet", str(folder)).returncode == 0
        # uv's cache has the tested versions already. Without it, they come from the network.
        command = ["pip", "install", "--python", str(folder), "--constraint", "requirements-dev.txt", f"./core{extras}"]
        if uv(*command, "--offline").returncode and (done := uv(*command)).returncode:
            missing(f"an installable core: {done.stderr}")
        return folder / "bin"

    return run


def test_the_library_works_in_an_empty_environment(install: Callable[[str], Path], tmp_path: Path) -> None:
    programs = install("")
    image = pixels("RGB")
    (tmp_path / "image.png").write_bytes(encoded(image, "PNG"))
    program = """
import importlib.metadata, pathlib, sys
import image_intensity
print(repr(image_intensity.measure(pathlib.Path(sys.argv[1]).read_bytes()).average_intensity))
print((pathlib.Path(image_intensity.__file__).parent / "py.typed").exists())
told = importlib.metadata.metadata("image-intensity")
print(told["License-Expression"], told["Version"] == image_intensity.__version__)
print(sorted(found.name for found in importlib.metadata.distributions()))
"""
    command = [str(programs / "python"), "-c", program, str(tmp_path / "image.png")]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed == [
        repr(float(np.asarray(image.convert("L")).mean())),
        "True",
        "MIT True",
        "['image-intensity', 'kornia_rs', 'numpy', 'pillow', 'simplejpeg', 'zlib-ng']",
    ]
