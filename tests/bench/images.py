"""The images of the benchmarks: photos and graphics of the corpus where it is there, and generated ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

CORPUS = Path(__file__).parents[2] / ".corpus"
WALLPAPERS = CORPUS / "wallpapers"
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
# The goals are for photos of 1 megapixel or more, and for graphics of 0.4 or more.
LEAST_PIXELS = {"PNG": 400_000, "JPEG": 1_000_000}


def corpus_files(folder: Path = CORPUS) -> list[Path]:
    """Every PNG and JPEG of the corpus, by content, each once."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return [file for file in files if image_format(file.read_bytes())]


def image_format(data: bytes) -> str | None:
    """What the first bytes declare."""
    return next((name for start, name in SIGNATURES.items() if data.startswith(start)), None)


def photo(width: int, height: int, seed: int = 1) -> Image.Image:
    """Something like a photo: smooth shapes, and the noise of a sensor."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    noise = rng.integers(-4, 5, smooth.shape, np.int16)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, image_format: str, **options: object) -> bytes:
    """The file that Pillow writes."""
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def samples(image_format_wanted: str, most: int = 12) -> dict[str, bytes]:
    """Files of a format by name: generated ones, and up to `most` of the corpus from small to large."""
    picture = photo(4000, 3000) if image_format_wanted == "JPEG" else photo(1600, 1200)
    made = {"generated photo": encode(picture, image_format_wanted, quality=90)}
    if image_format_wanted == "PNG":
        made["generated palette"] = encode(picture.quantize(64), "PNG")
        made["generated gray"] = encode(picture.convert("L"), "PNG")
    found: dict[str, bytes] = {}
    for file in corpus_files(WALLPAPERS):
        data = file.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            enough = image.width * image.height >= LEAST_PIXELS[image_format_wanted]
        if enough and image_format(data) == image_format_wanted and data not in found.values():
            found["/".join(file.parts[-4:])] = data
    names = sorted(found, key=lambda name: len(found[name]))
    chosen = names[:: max(1, len(names) // most)][:most]
    return made | {name: found[name] for name in chosen}
