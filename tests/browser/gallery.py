"""Pictures that look like something, for screenshots and for lists."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLES = Path(__file__).parents[2] / "static_site" / "samples"
EXPOSURES = (0.55, 0.7, 0.8, 0.9, 1, 1.08, 1.15, 1.3, 1.6)


def bracket(folder: Path) -> list[Path]:
    """Write the sample photo in nine exposures, the darkest first."""
    with Image.open(SAMPLES / "photo.jpg") as photo:
        pixels = np.asarray(photo).astype(np.float64)
    paths = []
    for number, exposure in enumerate(EXPOSURES):
        path = folder / f"IMG_20261124_{1041 + number}-exposure-bracket.jpg"
        Image.fromarray(np.clip(pixels * exposure, 0, 255).astype(np.uint8)).save(path, quality=85)
        paths.append(path)
    return paths


def problems(folder: Path) -> list[Path]:
    """Write a PNG that is cut short, and a text that is named like one."""
    corrupt, notes = folder / "corrupt.png", folder / "notes.png"
    corrupt.write_bytes((SAMPLES / "scan-16-bit.png").read_bytes()[:60_000])
    notes.write_text("This is not an image.")
    return [corrupt, notes]


def grays(folder: Path, names: Iterable[str]) -> list[Path]:
    """Write images of one gray each, from 10 upwards."""
    folder.mkdir(exist_ok=True)
    paths = [folder / name for name in names]
    for gray, path in enumerate(paths, start=10):
        Image.new("L", (8, 8), gray).save(path)
    return paths


def colors(folder: Path, names: str = "abc") -> list[Path]:
    """Write images of one color each, whose grays differ with the option `luma`."""
    paths = [folder / f"{name}.png" for name in names]
    for place, path in enumerate(paths):
        Image.new("RGB", (300, 200), (200 - 40 * place, 100, 0)).save(path)
    return paths


def frames(folder: Path) -> list[Path]:
    """Write two images with the grays 10 and 20, of one name, size and time."""
    paths = [folder / camera / "frame.png" for camera in ("one", "two")]
    for gray, path in zip((10, 20), paths, strict=True):
        path.parent.mkdir()
        Image.new("L", (400, 400), gray).save(path, compress_level=0)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return paths


def one_color(path: Path, color: int | tuple[int, ...], size: tuple[int, int] = (400, 300)) -> Path:
    """Write an image of one color."""
    Image.new("L" if isinstance(color, int) else "RGB", size, color).save(path)
    return path
