"""What an image of 1,000 megapixels needs: `python -m tests.bench.large`. It takes some minutes and 9 GB of memory.

Each image is measured in a process of its own, on Linux. Its peak is the most memory that it had at a time (`VmHWM`).
Beside it stands what the library calculates from the header, by which a job is refused.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from image_intensity import Limits
from image_intensity.measuring import measure

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 31_600
LIMITS = Limits(max_pixels=1_000_000_000, max_decoded_bytes=20_000_000_000)
PATTERN = np.random.default_rng(1).integers(0, 256, (SIDE, 3), dtype=np.uint8)


def jpeg(**options: Any) -> bytes:  # noqa: ANN401 - Pillow's own
    """A JPEG of 999 megapixels: one row of noise, again and again, shifted."""
    pixels = np.empty((SIDE, SIDE, 3), np.uint8)
    for row in range(SIDE):
        pixels[row] = np.roll(PATTERN, row, axis=0)
    file = io.BytesIO()
    image = Image.frombuffer("RGB", (SIDE, SIDE), pixels, "raw", "RGB", 0, 1)
    image.save(file, "JPEG", **options)
    return file.getvalue()


def png(samples: int, color: int, depth: int = 8, level: int = 1, rows: int = SIDE) -> bytes:
    """A PNG of 999 megapixels, written row by row. level 0: not compressed."""
    packer = zlib.compressobj(level)
    line = np.resize(PATTERN.ravel(), SIDE * samples * depth // 8)
    parts = [packer.compress(b"\0" + np.roll(line, row).tobytes()) for row in range(rows)]
    data = b"".join([*parts, packer.flush()])
    blocks = [data[start : start + (1 << 24)] for start in range(0, len(data), 1 << 24)]
    header = pack(">IIBBBBB", SIDE, rows, depth, color, 0, 0, 0)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *(chunk(b"IDAT", each) for each in blocks), IEND])


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))


IEND = chunk(b"IEND", b"")
IMAGES: dict[str, Callable[[], bytes]] = {
    "PNG, RGB": lambda: png(3, 2),
    "PNG, RGB, 2 GB": lambda: png(3, 2, level=0, rows=21_000),
    "PNG, 16-bit gray": lambda: png(1, 0, 16),
    "PNG, gray and alpha": lambda: png(2, 4),
    "JPEG, baseline 4:2:0": lambda: jpeg(quality=75),
    "JPEG, progressive 4:4:4": lambda: jpeg(quality=75, progressive=True, subsampling=0),
}


def measured(file: Path) -> None:
    """Measure a file in this process, and print its row."""
    before, needed = peak(), [0]
    data = file.read_bytes()
    begun = time.process_time()
    measurement = measure(data, limits=LIMITS, reserve=needed.append)
    seconds = time.process_time() - begun
    columns = [measurement.pixel_count / 1e6, len(data) / 1e6, needed[-1] / 1e6, before, peak(), seconds]
    print(*(f"{each:,.0f}" for each in columns), repr(measurement.average_intensity), sep=" | ")  # noqa: T201


def peak() -> float:
    """The most memory that this process had since it was last asked, in MB."""
    status = Path("/proc/self/status").read_text()
    # Forget it: a new process begins with what its parent had. https://docs.kernel.org/filesystems/proc.html
    Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1.024 / 1000 if found else 0.0


def main() -> None:
    """Make each image, and have it measured in a process of its own."""
    if len(sys.argv) > 2:
        measured(Path(sys.argv[2]))
        return
    chosen = sys.argv[1] if len(sys.argv) > 1 else ""
    print("image | megapixels | file, MB | calculated, MB | before, MB | peak, MB | CPU, s | average")  # noqa: T201
    with tempfile.TemporaryDirectory() as folder:
        for name, make in IMAGES.items():
            if chosen in name:
                file = Path(folder) / "image"
                file.write_bytes(make())
                print(name, end=" | ", flush=True)  # noqa: T201
                subprocess.run([sys.executable, "-m", "tests.bench.large", name, file], check=False)


if __name__ == "__main__":
    main()
