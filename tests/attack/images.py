"""The sound images that are damaged: made here, of every kind, and those of the corpus."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from tests.attack.judges import ours, pillow, strict
from tests.bench.images import corpus_files
from tests.bench.images import photo as detailed
from tests.core.images import (
    GRAY,
    INDEXED,
    PNG_KINDS,
    apng,
    encode,
    noise,
    photo,
    random_png,
    read_segments,
    with_sampling,
    write_segments,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# More files find more than larger files: some KB of coded data use every part of a decoder.
MOST_BYTES = 150_000
SAMPLINGS = ([0x42, 0x11, 0x11], [0x11, 0x22, 0x22], [0x22, 0x21, 0x12])


def jpegs() -> dict[str, bytes]:
    """Made by Pillow in every way that libjpeg decodes, and in samplings that few programs write."""
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "gray": ("L", {}),
        "4:2:0": ("RGB", {}),
        "4:2:2": ("RGB", {"subsampling": "4:2:2"}),
        "4:4:4": ("RGB", {"subsampling": "4:4:4"}),
        "fine": ("RGB", {"quality": 97}),
        "coarse": ("RGB", {"quality": 30}),
        "optimized": ("RGB", {"optimize": True}),
        "restart intervals": ("RGB", {"restart_marker_blocks": 3}),
        "progressive": ("RGB", {"progressive": True}),
        "gray, progressive": ("L", {"progressive": True}),
        "CMYK": ("CMYK", {}),
    }
    made = {
        f"{name} {size} {seed}": encode(photo(mode, size, seed), "JPEG", **options)
        for name, (mode, options) in kinds.items()
        for size in ((80, 56), (203, 151))
        for seed in range(6)
    }
    made |= {
        f"detailed {name}": encode(detailed(400, 304).convert(mode), "JPEG", **options)
        for name, (mode, options) in kinds.items()
    }
    return made | {f"sampling {sampling}": with_sampling((80, 56), sampling) for sampling in SAMPLINGS}


def pngs() -> dict[str, bytes]:
    """Of every color type, bit depth and interlace, with transparency, and animated."""
    made = {
        f"{color_type}, {depth} bits, {'' if interlaced else 'not '}interlaced": random_png(
            (33, 27), depth, color_type, interlaced=interlaced, transparent=transparent
        )
        for color_type, (_, depths) in PNG_KINDS.items()
        for depth in depths
        for interlaced in (False, True)
        for transparent in ((False, True) if color_type in {GRAY, INDEXED} else (False,))
    }
    made |= {f"{mode}, filtered": encode(photo(mode, (120, 90)), "PNG") for mode in ("L", "RGB", "RGBA", "LA", "P")}
    return made | {"animated": apng(noise("RGB", (40, 30)), noise("RGB", (40, 30), seed=1))}


def webps() -> dict[str, Callable[[], bytes]]:
    """What makes them, in every way of Pillow: lossy, lossless, with alpha, of several partitions, animated."""
    kinds: dict[str, dict[str, Any]] = {
        "lossy": {"quality": 75},
        "lossy, coarse": {"quality": 20, "method": 0},
        "lossy, fine": {"quality": 95, "method": 6},
        "lossless": {"lossless": True, "quality": 75},
        "lossless, fast": {"lossless": True, "quality": 10, "method": 0},
        "lossless, exact": {"lossless": True, "exact": True},
    }
    made = {
        f"{name} {mode} {size} {seed}": partial(encode, photo(mode, size, seed), "WEBP", **options)
        for name, options in kinds.items()
        for mode in ("RGB", "RGBA")
        for size in ((80, 56), (203, 151))
        for seed in range(3)
    }
    made |= {
        f"detailed {name}": partial(encode, detailed(400, 304), "WEBP", **options) for name, options in kinds.items()
    }
    for name, options in kinds.items():
        frames = [photo("RGBA", (90, 70), seed) for seed in range(3)]
        made[f"animated {name}"] = partial(
            encode, frames[0], "WEBP", save_all=True, append_images=frames[1:], **options
        )
    return {name: cache(make) for name, make in made.items()}


def corpus(image_format: str) -> dict[str, bytes]:
    """The files of `make corpus` that are not large and that both judges find sound."""
    found: dict[str, bytes] = {}
    for file in corpus_files():
        data = file.read_bytes()
        if len(data) <= MOST_BYTES and is_sound(image_format, data) and data not in found.values():
            found["/".join(file.parts[-2:])] = data
    return found


def is_sound(image_format: str, data: bytes) -> bool:
    """Whether a file is of this format, sound for all, and of segments that are written again as read."""
    if not data.startswith({"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG", "WEBP": b"RIFF"}[image_format]):
        return False
    number = ours(data)
    if number is None or number != pillow(data) or not strict(image_format, data)[0]:
        return False
    try:
        return image_format != "JPEG" or pillow(write_segments(read_segments(data))) == number
    except (AssertionError, IndexError):
        # `read_segments` reads only files with nothing between their segments.
        return False
