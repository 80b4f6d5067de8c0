"""Images whose intensity is known from their pixels, and not from what the service does."""

from __future__ import annotations

import io
import random
from typing import NamedTuple

import numpy as np
from PIL import Image

# The tests make these images themselves, so they are no bombs.
Image.MAX_IMAGE_PIXELS = None


class Sample(NamedTuple):
    """A file, and what the service must say of it."""

    content: bytes
    intensity: float
    size: tuple[int, int]
    mode: str


def sample(image: Image.Image, image_format: str = "PNG", **options: object) -> Sample:
    """Encode `image`; what it measures is the mean of what Pillow decodes."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    content = buffer.getvalue()
    decoded = Image.open(io.BytesIO(content))
    if decoded.mode == "I;16":
        mean = float(np.asarray(decoded).mean() / 257)
    else:
        mean = float(np.asarray(decoded.convert("L")).mean())
    return Sample(content, mean, decoded.size, decoded.mode)


def noise(size_in_bytes: int, seed: int = 0) -> Sample:
    """An uncompressible gray PNG of about `size_in_bytes`."""
    side = int(size_in_bytes**0.5)
    pixels = random.Random(seed).randbytes(side * side)
    return sample(Image.frombytes("L", (side, side), pixels), compress_level=0)


def fresh() -> Sample:
    """A small picture that nobody has measured before."""
    return noise(1000, seed=random.SystemRandom().getrandbits(64))


def every_kind() -> dict[str, Sample]:
    """One small sample of each kind of file."""
    gradient = Image.linear_gradient("L").resize((64, 48))
    color = Image.merge("RGB", (gradient, gradient.transpose(Image.Transpose.ROTATE_180), gradient))
    deep = Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21)
    return {
        "gray PNG": sample(gradient),
        "color PNG": sample(color),
        "palette PNG": sample(color.quantize(16)),
        "two-color PNG": sample(gradient.convert("1")),
        "transparent PNG": sample(color.convert("RGBA")),
        "16-bit PNG": sample(deep),
        "JPEG": sample(color, "JPEG", quality=80),
        "progressive JPEG": sample(color, "JPEG", progressive=True),
        "gray JPEG": sample(gradient, "JPEG"),
        "CMYK JPEG": sample(color.convert("CMYK"), "JPEG"),
    }
