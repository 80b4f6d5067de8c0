"""Pictures that look like something, for screenshots and for lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

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
