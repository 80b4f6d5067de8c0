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
from PIL import Image

from contract.invocation import Invocation
from contract.limits import DEFAULT_MAX_IMAGE_PIXELS
from processor.decode import decode
from processor.measure import DECODERS, measure
from tests.bench.images import encode, photo, samples

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = int(os.environ.get("ROUNDS", "9"))
FILE = Path(__file__).parents[2] / "docs/benchmarks.md"
FIRST_CALL = """
import io, sys, time
import numpy as np
from PIL import Image
from contract.invocation import Invocation
from processor.measure import measure
from tests.bench.__main__ import ours, reference
Image.init()
data = sys.stdin.buffer.read()
begun = time.perf_counter()
{"ours": ours, "reference": reference}[sys.argv[1]](data)
print(time.perf_counter() - begun)
"""


def ours(data: bytes) -> float:
    """The measurement with everything that belongs to it: integrity and full statistics."""
    invocation = Invocation(image=data, allowed_formats=("PNG", "JPEG"), max_pixels=DEFAULT_MAX_IMAGE_PIXELS)
    return measure(invocation).average_intensity


def reference(data: bytes) -> float:
    """What a user would write."""
    return float(np.asarray(Image.open(io.BytesIO(data)).convert("L")).mean())


def load(data: bytes) -> None:
    """The floor: Pillow's decoding alone."""
    Image.open(io.BytesIO(data)).load()


def only_decode(data: bytes) -> None:
    """Ours without a look at the pixels."""
    decode(data, ("PNG", "JPEG"), DEFAULT_MAX_IMAGE_PIXELS)


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
        # A process for each image: that is how it is used.
        command = [program, "-", "-colorspace", "Gray", "-format", "%[mean]", "info:"]
        found["ImageMagick"] = lambda data: subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True)
    return found


def timed(functions: dict[str, Callable[[bytes], object]], data: bytes) -> dict[str, list[float]]:
    """Seconds by name: `ROUNDS` of them, after one to warm up, each function in turn."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS + 1):
        for name, function in functions.items():
            begun = time.perf_counter()
            function(data)
            times[name].append(time.perf_counter() - begun)
    return {name: values[1:] for name, values in times.items()}


def warm(image_format: str) -> tuple[list[str], float, float]:
    """Rows of a table, and the ratio of ours to the reference: by medians, and by the quietest round of each."""
    functions = {"reference": reference, "ours": ours, "decode": only_decode, "load": load, **alternatives()}
    others = [name for name in functions if name != "reference"]
    rows = [f"| image | MP | KB | reference, ms | {' | '.join(others)} |", "| --- " * (4 + len(others)) + "|"]
    ratios: dict[str, list[float]] = {name: [] for name in others}
    quietest = []
    for name, data in samples(image_format, most=9).items():
        assert ours(data) == reference(data), name
        times = timed(functions, data)
        seconds = {name: statistics.median(values) for name, values in times.items()}
        quietest.append(min(times["ours"]) / min(times["reference"]))
        for other in others:
            ratios[other].append(seconds[other] / seconds["reference"])
        with Image.open(io.BytesIO(data)) as image:
            megapixels = image.width * image.height / 1e6
        cells = " | ".join(f"{seconds[other] / seconds['reference']:.2f}" for other in others)
        rows.append(f"| {name} | {megapixels:.1f} | {len(data) // 1024} | {seconds['reference'] * 1e3:.1f} | {cells} |")
        print(rows[-1], flush=True)  # noqa: T201 - it is a report
    cells = " | ".join(f"**{statistics.median(ratios[other]):.2f}**" for other in others)
    rows.append(f"| median of {len(ratios['ours'])} | | | | {cells} |")
    return rows, statistics.median(ratios["ours"]), statistics.median(quietest)


def first_call() -> float:
    """The ratio of ours to the reference for the first image of a process, a JPEG of 12 megapixels."""
    data = encode(photo(4000, 3000), "JPEG", quality=90)
    times: dict[str, list[float]] = {"ours": [], "reference": []}
    for _ in range(ROUNDS):
        for name, values in times.items():
            command = [sys.executable, "-c", FIRST_CALL, name]
            values.append(float(subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout))
    return statistics.median(times["ours"]) / statistics.median(times["reference"])


def main() -> None:
    """Measure, print and write the report."""
    jpeg_rows, jpeg, quiet_jpeg = warm("JPEG")
    png_rows, png, quiet_png = warm("PNG")
    first = first_call()
    goals = [
        "| ours to reference | goal | by medians | by the quietest rounds |",
        "| --- | --- | --- | --- |",
        f"| JPEG, warm | <= 0.96 | {jpeg:.2f} | {quiet_jpeg:.2f} |",
        f"| PNG, warm | <= 0.95 | {png:.2f} | {quiet_png:.2f} |",
        f"| JPEG of 12 MP, first call in a process | <= 0.85 | {first:.2f} | |",
    ]
    versions = json.dumps({**DECODERS, "numpy": np.__version__, "python": sys.version.split()[0]})
    head = (FILE.read_text() if FILE.exists() else "# Benchmarks\n").split("<!-- figures -->")[0]
    report = [
        *goals,
        "",
        f"Versions: `{versions}`; {ROUNDS} rounds.",
        "",
        "### JPEG",
        "",
        *jpeg_rows,
        "",
        "### PNG",
        "",
    ]
    FILE.write_text(head + "<!-- figures -->\n\n" + "\n".join([*report, *png_rows]) + "\n")
    print("\n".join(goals))  # noqa: T201 - as above


if __name__ == "__main__":
    main()
