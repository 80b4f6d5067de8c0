"""The images of the benchmarks: photos and graphics of the corpus where it is there, and generated ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from image_intensity import detect

CORPUS = Path(__file__).parents[2] / ".corpus"
WALLPAPERS = CORPUS / "wallpapers"
# The goals are for photos of 1 megapixel or more, and for graphics of 0.4 or more.
LEAST_PIXELS = {"PNG": 400_000, "JPEG": 1_000_000, "WEBP": 1_000_000}


def corpus_files(folder: Path = CORPUS) -> list[Path]:
    """Every image of the corpus but TIFFs, by content, each once. Many TIFFs are of kinds that are not measured."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return [file for file in files if detect(file.read_bytes()) not in {None, "TIFF"}]


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
    picture = photo(1600, 1200) if image_format_wanted == "PNG" else photo(4000, 3000)
    made = {"generated photo": encode(picture, image_format_wanted, quality=90)}
    if image_format_wanted == "WEBP":
        return made | webps(most // 2)
    if image_format_wanted == "PNG":
        made["generated palette"] = encode(picture.quantize(64), "PNG")
        made["generated gray"] = encode(picture.convert("L"), "PNG")
    found: dict[str, bytes] = {}
    for file in corpus_files(WALLPAPERS):
        data = file.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            enough = image.width * image.height >= LEAST_PIXELS[image_format_wanted]
        if enough and detect(data) == image_format_wanted and data not in found.values():
            found["/".join(file.parts[-4:])] = data
    names = sorted(found, key=lambda name: len(found[name]))
    chosen = names[:: max(1, len(names) // most)][:most]
    return made | {name: found[name] for name in chosen}


def webps(most: int) -> dict[str, bytes]:
    """Photos of the corpus as lossy and lossless WebPs, in turns."""
    made = {}
    for number, (name, data) in enumerate(samples("JPEG", most).items()):
        with Image.open(io.BytesIO(data)) as image:
            lossless = number % 2 == 1
            options = {"lossless": True, "quality": 20, "method": 2} if lossless else {"quality": 80}
            made[f"{name}, {'lossless' if lossless else 'lossy'}"] = encode(image.convert("RGB"), "WEBP", **options)
    return made
