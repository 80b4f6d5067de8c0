"""Make the three samples that the page offers: `python infra/make_samples.py`. They are ours, and free to use."""  # noqa: INP001

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).parents[1] / "static_site" / "samples"
SEED = 15


def photo(width: int = 960, height: int = 640) -> Image.Image:
    """Return a landscape: sky, sun, two hills, and the noise of a camera."""
    random = np.random.default_rng(SEED)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = x / width, y / height
    image = np.stack([120 + 110 * y, 160 + 70 * y, 215 + 15 * y], axis=-1)
    glow = np.exp(-(((x - 0.72) * 1.5) ** 2 + (y - 0.28) ** 2) / 0.03)[..., None]
    image = image * (1 - 0.55 * glow) + np.array([255, 236, 190]) * 0.55 * glow
    sun = 0.067
    image[((x - 0.72) * 1.5) ** 2 + (y - 0.28) ** 2 < sun**2] = (255, 250, 232)
    hills = ((0.58, 5.0, (78, 108, 92)), (0.72, 8.5, (46, 66, 44)))
    for top, wave, color in hills:
        hill = top + 0.06 * np.sin(wave * x + top * 9) + 0.02 * np.sin(3.1 * wave * x)
        depth = np.clip((y - hill) / 0.3, 0, 1)[..., None]
        image = np.where((y > hill)[..., None], np.array(color) * (1.15 - 0.75 * depth), image)
    image += random.normal(0, 3.5, (height, width, 1)) + random.normal(0, 1.5, image.shape)
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def scan(width: int = 480, height: int = 360) -> Image.Image:
    """Return a gel under a scanner of 16 bits: eight lanes with bands."""
    random = np.random.default_rng(SEED)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    light = 57_000 - 2_500 * (x / width) - 1_200 * (y / height)
    for lane in range(8):
        left = 26 + lane * 56
        across = 1 / (1 + np.exp(-(x - left) / 1.6)) / (1 + np.exp((x - left - 36) / 1.6))
        for row in random.uniform(30, height - 40, 5):
            light -= random.uniform(6_000, 46_000) * across * np.exp(-(((y - row) / random.uniform(2.2, 4.5)) ** 2))
    # Steps of 16, as a sensor of 12 bits has them: the file stays small.
    values = np.clip(light + random.normal(0, 40, light.shape), 0, 65_535) // 16 * 16
    return Image.fromarray(values.astype(np.uint16))


def gray_card(width: int = 480, height: int = 320) -> Image.Image:
    """Return a card of 18 % reflectance in sRGB, which is gray 118: its average is known beforehand."""
    return Image.new("L", (width, height), 118)


if __name__ == "__main__":
    SAMPLES.mkdir(exist_ok=True)
    photo().save(SAMPLES / "photo.jpg", quality=85, optimize=True)
    scan().save(SAMPLES / "scan-16-bit.png", optimize=True)
    gray_card().save(SAMPLES / "gray-card.png", optimize=True)
