"""The library, installed as a user does it: into an empty virtual environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from tests.core.samples import encoded, pixels
from tests.support import executable, missing

REPOSITORY = Path(__file__).parents[2]
# `make test` has installed it.
UV = REPOSITORY / ".venv/bin/uv"
PROGRAM = """
import importlib.metadata, pathlib, sys
import image_intensity
print(repr(image_intensity.measure(pathlib.Path(sys.argv[1]).read_bytes()).average_intensity))
print((pathlib.Path(image_intensity.__file__).parent / "py.typed").exists())
told = importlib.metadata.metadata("image-intensity")
print(told["License-Expression"], told["Version"] == image_intensity.__version__)
print(sorted(found.name for found in importlib.metadata.distributions()))
"""


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(UV) if UV.exists() else executable("uv")
    return subprocess.run([program, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_library_works_in_an_empty_environment(tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    assert uv("venv", "--quiet", str(folder)).returncode == 0
    # uv's cache has the tested versions already. Without it, they come from the network.
    command = ["pip", "install", "--python", str(folder), "--constraint", "requirements-dev.txt", "./core"]
    if uv(*command, "--offline").returncode and (done := uv(*command)).returncode:
        missing(f"an installable core: {done.stderr}")
    image = pixels("RGB")
    (tmp_path / "image.png").write_bytes(encoded(image, "PNG"))
    run = [str(folder / "bin/python"), "-c", PROGRAM, str(tmp_path / "image.png")]
    printed = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed == [
        repr(float(np.asarray(image.convert("L")).mean())),
        "True",
        "MIT True",
        "['image-intensity', 'kornia_rs', 'numpy', 'pillow', 'simplejpeg', 'zlib-ng']",
    ]
