"""`make bench`: how long measuring takes beside the alternatives, printed and written to docs/benchmarks.md.

Everything runs interleaved in one process, so that a busy machine is busy for all; the medians of each are compared.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from kornia_rs import io as rust
from PIL import Image

from image_intensity import FORMATS, Limits, formats, measure, summary
from image_intensity.formats.png.bands import RUST_MODES
from image_intensity.levels import gray, opaque_levels
from image_intensity.measuring import DECODERS
from image_intensity.pixels import from_image, from_samples, lend
from tests.bench.images import encode, photo, samples

if TYPE_CHECKING:
    from collections.abc import Callable

# Format and Pillow's mode -> what `kornia_rs` calls what it decodes.
RUST_KINDS = {("PNG", mode): rust_mode for rust_mode, mode in RUST_MODES.values()}
LIMITS = Limits(formats=tuple(FORMATS))
# Seconds by name.
Times = dict[str, list[float]]
ROUNDS = int(os.environ.get("ROUNDS", "9"))
# Pillow's names of compressions, and ours.
TIFFS = {
    None: "none",
    "tiff_lzw": "LZW",
    "tiff_adobe_deflate": "deflate",
    "packbits": "PackBits",
    "jpeg": "JPEG",
}
FILE = Path(__file__).parents[2] / "docs/benchmarks.md"
FIRST_CALL = """
import io, sys, time
import numpy as np
from PIL import Image
from tests.bench.__main__ import ours, reference
Image.init()
data = sys.stdin.buffer.read()
begun = time.perf_counter()
{"ours": ours, "reference": reference}[sys.argv[1]](data)
print(time.perf_counter() - begun)
"""


def ours(data: bytes) -> float:
    """The measurement with everything that belongs to it: integrity and full statistics."""
    return measure(data, limits=LIMITS).average_intensity


def reference(data: bytes) -> float:
    """What a user would write."""
    return float(np.asarray(Image.open(io.BytesIO(data)).convert("L")).mean())


def load(data: bytes) -> None:
    """The floor: Pillow's decoding alone."""
    Image.open(io.BytesIO(data)).load()


def only_decode(data: bytes) -> None:
    """Ours without a look at the pixels. PNGs are decoded strip by strip, so all strips are asked for."""
    for _ in formats.decode(*formats.read(data, LIMITS)).strips:
        pass


def bare(data: bytes) -> float:
    """Ours without integrity checks and statistics: the same decoders, and the mean alone."""
    image = Image.open(io.BytesIO(data))
    kind = (image.format, image.mode)
    if kind in RUST_KINDS:
        pixels = from_samples(rust.decode_image_png_u8(data, image.size[::-1], RUST_KINDS[kind]), image.mode)
    elif kind == ("JPEG", "RGB"):
        memory = lend(4 * image.width * image.height)
        samples = simplejpeg.decode_jpeg(data, "RGBX", buffer=memory, strict=False)
        pixels = from_samples(samples, "RGB", memory)
    else:
        image.load()
        return summary.mean(opaque_levels(from_image(image), "bt601"))
    total = sum(int(np.asarray(gray(strip, "bt601")).sum(dtype=np.uint64)) for strip in pixels.strips)
    return total / (image.width * image.height)


def alternatives() -> dict[str, Callable[[bytes], object]]:
    """What else there is on this machine. Their gray values are not all the same as ours."""
    found: dict[str, Callable[[bytes], object]] = {}
    try:
        import cv2  # noqa: PLC0415 - may be missing

        found["OpenCV"] = lambda data: np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), 0)).mean()
    except ImportError:
        pass
    try:
        import pyvips  # noqa: PLC0415 - may be missing

        pyvips.cache_set_max(0)
        found["libvips"] = lambda data: pyvips.Image.new_from_buffer(data, "").colourspace("b-w").avg()
    except (ImportError, OSError):
        pass
    if program := shutil.which("magick") or shutil.which("convert"):
        # One process for each image, as people use it.
        command = [program, "-", "-colorspace", "Gray", "-format", "%[mean]", "info:"]
        found["ImageMagick"] = lambda data: subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True)
    return found


def timed(functions: dict[str, Callable[[bytes], object]], data: bytes) -> Times:
    """`ROUNDS` of each, after one to warm up, each function in turn."""
    times: Times = {name: [] for name in functions}
    for _ in range(ROUNDS + 1):
        for name, function in functions.items():
            begun = time.perf_counter()
            function(data)
            times[name].append(time.perf_counter() - begun)
    return {name: values[1:] for name, values in times.items()}


def warm(image_format: str) -> tuple[str, list[Times]]:
    """A row for the images of a format, and what it is made of. Prints a row for each image."""
    ways: dict[str, Callable[[bytes], object]] = {"ours": ours, "bare": bare, "decode": only_decode, "load": load}
    functions = {"reference": reference, **ways, **alternatives()}
    others = [name for name in functions if name != "reference"]
    images = []
    for name, data in samples(image_format, most=9).items():
        assert ours(data) == bare(data) == reference(data), name
        images.append(timed(functions, data))
        cells = " | ".join(f"{ratio(images[-1:], other, 'reference'):.2f}" for other in others)
        print(f"| {name} | {len(data) // 1024} KB | {cells} |", flush=True)  # noqa: T201 - it is a report
    single = [ratio([times], "ours", "reference") for times in images]
    cells = " | ".join(f"{ratio(images, other, 'reference'):.2f}" for other in others)
    return f"| {len(images)} {image_format}s | {min(single):.2f} to {max(single):.2f} | {cells} |", images


def ratio(images: list[Times], name: str, other: str, of: Callable[[list[float]], float] = statistics.median) -> float:
    """How long `name` took beside `other`, by the median or another figure `of` their rounds: the median of images."""
    return statistics.median(of(times[name]) / of(times[other]) for times in images)


def tiffs() -> tuple[list[str], dict[str, Times]]:
    """Rows of a table, and their times, by compression: a picture of 12 megapixels as Pillow writes it."""
    functions: dict[str, Callable[[bytes], object]] = {"ours": ours, "reference": reference}
    rows = ["| TIFF of 12 MP | KB | reference, ms | ours to reference |", "| --- | --- | --- | --- |"]
    found = {}
    for compression, name in TIFFS.items():
        data = encode(photo(4000, 3000), "TIFF", compression=compression)
        assert ours(data) == reference(data), name
        found[name] = timed(functions, data)
        milliseconds = statistics.median(found[name]["reference"]) * 1e3
        relative = ratio([found[name]], "ours", "reference")
        rows.append(f"| {name} | {len(data) // 1024} | {milliseconds:.1f} | {relative:.2f} |")
        print(rows[-1], flush=True)  # noqa: T201 - it is a report
    return rows, found


def first_call() -> float:
    """The ratio of ours to the reference for the first image of a process, a JPEG of 12 megapixels."""
    data = encode(photo(4000, 3000), "JPEG", quality=90)
    times: Times = {"ours": [], "reference": []}
    for _ in range(ROUNDS):
        for name, values in times.items():
            command = [sys.executable, "-c", FIRST_CALL, name]
            values.append(float(subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout))
    return ratio([times], "ours", "reference")


def main() -> None:
    """Measure, print and write the report."""
    jpeg_row, jpegs = warm("JPEG")
    png_row, pngs = warm("PNG")
    webp_row, webps = warm("WEBP")
    tiff_rows, by_compression = tiffs()
    first = first_call()
    goals = ["| | goal | by medians | by the quietest rounds |", "| --- | --- | --- | --- |"]
    for title, goal, images, other in (
        ("JPEG, warm, ours to reference", 0.96, jpegs, "reference"),
        ("PNG, warm, ours to reference", 0.65, pngs, "reference"),
        ("WebP, warm, ours to reference", 1.9, webps, "reference"),
        ("JPEG, warm, ours to bare", 1.1, jpegs, "bare"),
        ("PNG, warm, ours to bare", 1.1, pngs, "bare"),
        ("TIFF without compression, warm, ours to reference", 4, [by_compression["none"]], "reference"),
        ("TIFF with deflate, warm, ours to reference", 2.2, [by_compression["deflate"]], "reference"),
    ):
        quietest = ratio(images, "ours", other, of=min)
        goals.append(f"| {title} | <= {goal} | {ratio(images, 'ours', other):.2f} | {quietest:.2f} |")
    goals.append(f"| JPEG of 12 MP, first call in a process, ours to reference | <= 0.85 | {first:.2f} | |")
    versions = json.dumps({**DECODERS, "numpy": np.__version__, "python": sys.version.split()[0]})
    head = (FILE.read_text() if FILE.exists() else "# Benchmarks\n").split("<!-- figures -->")[0]
    columns = ["images", "ours, single images", *(name for name in jpegs[0] if name != "reference")]
    report = [
        *goals,
        "",
        f"Versions: `{versions}`; {ROUNDS} rounds.",
        "",
        f"| {' | '.join(columns)} |",
        "| --- " * len(columns) + "|",
        jpeg_row,
        png_row,
        webp_row,
        "",
        *tiff_rows,
    ]
    FILE.write_text(head + "<!-- figures -->\n\n" + "\n".join(report) + "\n")
    print("\n".join(goals))  # noqa: T201 - as above


if __name__ == "__main__":
    main()
