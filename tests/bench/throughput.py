"""How many requests a second two running services answer, in turns: prints a table for docs/benchmarks.md.

`python -m tests.bench.throughput URL BASE_URL` sends JPEGs of about 150 and 350 KB to POST /intensity of both services
with wrk (`apt-get install wrk`): the same file again and again (hits), and files that differ in each request (misses).
The table has the medians of `ROUNDS` pairs of runs, each of `SECONDS` seconds with 8 connections.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bench.images import encode

ROUNDS = int(os.environ.get("ROUNDS", "7"))
SECONDS = int(os.environ.get("SECONDS", "2"))
CONNECTIONS = 8
SIZES = ((880, 660), (1600, 1200))
# A miss has other bytes behind the end of the image, where decoders do not look.
SCRIPT = """
local file = io.open(os.getenv("IMAGE"), "rb"); local image = file:read("*a"); file:close()
local head = "--boundary\\r\\nContent-Disposition: form-data; name=\\"image\\"; filename=\\"photo.jpg\\"\\r\\n\\r\\n"
local tail = "\\r\\n--boundary--\\r\\n"
wrk.method = "POST"
wrk.headers["Content-Type"] = "multipart/form-data; boundary=boundary"
wrk.body = head .. image .. tail
local run = os.getenv("RUN")
if run then
  local number = 0
  request = function()
    number = number + 1
    return wrk.format(nil, nil, nil, head .. image .. run .. string.format("%08d", number) .. tail)
  end
end
"""


def picture(size: tuple[int, int]) -> bytes:
    """A JPEG of soft colors."""
    colors = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    return encode(Image.fromarray(colors).resize(size, Image.Resampling.BICUBIC), "JPEG", quality=90)


def load(url: str, script: Path, image: Path, *, misses: bool) -> float:
    """Drive a service for some seconds; the requests a second. Ends the program if a request fails."""
    variables = {**os.environ, "IMAGE": str(image)} | ({"RUN": f"{time.time_ns():024}"} if misses else {})
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "-s", str(script), f"{url}/intensity"]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    if "Non-2xx" in result.stdout or "Socket errors" in result.stdout:
        sys.exit(f"Requests to {url} failed:\n{result.stdout}")
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", result.stdout)[0])


def row(urls: list[str], script: Path, image: Path, *, misses: bool) -> str:
    """Compare both services, after one run of each to warm up."""
    pairs = [[load(url, script, image, misses=misses) for url in urls] for _ in range(ROUNDS + 1)][1:]
    ratio = statistics.median(ours / base for ours, base in pairs)
    rates = [f"{statistics.median(runs):.0f}" for runs in zip(*pairs, strict=True)]
    kind = f"{'misses' if misses else 'hits'}, {image.stat().st_size // 1000} KB"
    return f"| {kind} | {' | '.join(rates)} | **{ratio:.2f}** |"


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if not shutil.which("wrk"):
        sys.exit("This needs wrk: apt-get install wrk")
    print("| requests | a second | of the other | ratio |")  # noqa: T201 - a report
    print("| --- " * 4 + "|")  # noqa: T201
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        script.write_text(SCRIPT)
        for size in SIZES:
            image = Path(folder, f"{size[0]}.jpg")
            image.write_bytes(picture(size))
            for misses in (False, True):
                print(row(sys.argv[1:], script, image, misses=misses), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
