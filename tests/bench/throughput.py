"""How many requests a second two running services answer, in turns: prints a table for docs/benchmarks.md.

`python -m tests.bench.throughput URL BASE_URL` sends JPEGs of about 150 and 350 KB to POST /intensity of both services
with wrk (`apt-get install wrk`): the same file again and again (hits), and files that differ in each request (misses).
The table has the medians of `ROUNDS` pairs of runs, each of `SECONDS` seconds with 8 connections.

With process ids behind an address, as in `http://localhost:5000=4711` or `http://localhost:5991=815,816`, it also says
what a request costs: the processor time of these processes and of all that they have started. That is a better figure
on a machine that does other work, too.
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
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from PIL import Image

from tests.bench.images import encode

ROUNDS = int(os.environ.get("ROUNDS", "7"))
SECONDS = int(os.environ.get("SECONDS", "2"))
CONNECTIONS = 8
SIZES = ((880, 660), (1600, 1200))
TICKS = os.sysconf("SC_CLK_TCK")
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


class Target(NamedTuple):
    """A service: its address, and the processes that it consists of, if they are known."""

    url: str
    pids: list[int]

    @classmethod
    def parse(cls, text: str) -> Self:
        url, _, pids = text.partition("=")
        return cls(url.rstrip("/"), [int(pid) for pid in pids.split(",") if pid])


class Run(NamedTuple):
    """Requests per second, and milliseconds of processor time for each request (0 if the processes are not known)."""

    rate: float
    cost: float


def picture(size: tuple[int, int]) -> bytes:
    """A JPEG of soft colors."""
    colors = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    return encode(Image.fromarray(colors).resize(size, Image.Resampling.BICUBIC), "JPEG", quality=90)


def processor_seconds(pids: list[int]) -> float:
    """What the processes and all that they have started have used so far; those that have ended count, too."""
    ticks, family = 0, set(pids)
    stats = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The name of the program is in parentheses, and may have spaces.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            stats.append((int(folder.name), int(fields[1]), sum(map(int, fields[11:15]))))
    while grown := {pid for pid, parent, _ in stats if parent in family} - family:
        family |= grown
    for pid, _, used in stats:
        ticks += used if pid in family else 0
    return ticks / TICKS


def load(target: Target, script: Path, image: Path, *, misses: bool) -> Run:
    """Drive a service for some seconds. Ends the program if a request fails."""
    variables = {**os.environ, "IMAGE": str(image)} | ({"RUN": f"{time.time_ns():024}"} if misses else {})
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "-s", str(script), f"{target.url}/intensity"]
    before = processor_seconds(target.pids)
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    used = processor_seconds(target.pids) - before
    if "Non-2xx" in result.stdout or "Socket errors" in result.stdout:
        sys.exit(f"Requests to {target.url} failed:\n{result.stdout}")
    requests = int(re.findall(r"(\d+) requests in", result.stdout)[0])
    return Run(float(re.findall(r"Requests/sec:\s+([\d.]+)", result.stdout)[0]), used * 1000 / max(requests, 1))


def row(targets: list[Target], script: Path, image: Path, *, misses: bool) -> str:
    """Compare both services, after one run of each to warm up."""
    pairs = [[load(target, script, image, misses=misses) for target in targets] for _ in range(ROUNDS + 1)][1:]
    ratio = statistics.median(ours.rate / base.rate for ours, base in pairs)
    services = list(zip(*pairs, strict=True))
    rates = [f"{statistics.median(run.rate for run in runs):.0f}" for runs in services]
    costs = [f"{statistics.median(run.cost for run in runs):.2f}" if runs[0].cost else "" for runs in services]
    kind = f"{'misses' if misses else 'hits'}, {image.stat().st_size // 1000} KB"
    return f"| {kind} | {' | '.join(rates)} | **{ratio:.2f}** | {' | '.join(costs)} |"


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if not shutil.which("wrk"):
        sys.exit("This needs wrk: apt-get install wrk")
    targets = [Target.parse(text) for text in sys.argv[1:]]
    print("| requests | a second | of the other | ratio | ms of CPU for one | of the other |")  # noqa: T201 - a report
    print("| --- " * 6 + "|")  # noqa: T201
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        script.write_text(SCRIPT)
        for size in SIZES:
            image = Path(folder, f"{size[0]}.jpg")
            image.write_bytes(picture(size))
            for misses in (False, True):
                print(row(targets, script, image, misses=misses), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
