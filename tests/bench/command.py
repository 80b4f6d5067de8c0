"""How many images `intensity` measures in a second, beside other programs: prints tables for docs/benchmarks.md.

`python -m tests.bench.command` takes real images from .corpus (`make corpus`), each of them under two names. Each
program measures all of them, in turns; medians are compared. It needs `vips` and ImageMagick's `identify`.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SUFFIXES = {".png", ".jpg", ".jpeg"}
# Which files, by their bytes, and how many. Wallpapers take seconds each in ImageMagick, so there are fewer of them.
SETS = {
    "500 images of 20 to 500 KB": (range(20_000, 500_000), 500),
    "100 images of 0.5 to 13 MB": (range(500_000, 15_000_000), 100),
}


def fill(folder: Path, sizes: range, images: int) -> list[str]:
    """Copy the images into `folder` and return their names. The damaged ones of PngSuite stay out."""
    found = [file for file in sorted((REPOSITORY / ".corpus").rglob("*")) if file.suffix.lower() in SUFFIXES]
    sound = [file for file in found if file.is_file() and "corrupted" not in file.parts]
    fitting = [file for file in sound if file.stat().st_size in sizes]
    if len(fitting) < images // 2:
        sys.exit(f"Only {len(fitting)} of {images // 2} images are in .corpus. Run `make corpus` on Debian 12.")
    half = [fitting[index * len(fitting) // (images // 2)] for index in range(images // 2)]
    names = []
    for number, file in enumerate([*half, *half]):
        target = folder / f"{number:03}{file.suffix.lower()}"
        shutil.copyfile(file, target)
        names.append(str(target))
    return names


def seconds(command: list[str], names: list[str]) -> float:
    """How long a command takes that reads the names on standard input."""
    begun = time.perf_counter()
    subprocess.run(command, input="\n".join(names), text=True, capture_output=True, check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    ours = [str(Path(sys.executable).with_name("intensity")), "--progress", "none", "-"]
    cores = str(os.cpu_count() or 1)
    programs = {
        "`intensity -j 1`": [*ours, "-j", "1"],
        "`intensity`, all cores": ours,
        f"`vips avg`, `xargs -P{cores}`": ["xargs", f"-P{cores}", "-n1", "vips", "avg"],
        f"`identify -format %[fx:mean]`, `xargs -P{cores}`": [
            *("xargs", f"-P{cores}", "-n1", "identify", "-format", "%[fx:mean]\n")
        ],
    }
    for title, (sizes, images) in SETS.items():
        with tempfile.TemporaryDirectory() as folder:
            names = fill(Path(folder), sizes, images)
            times: dict[str, list[float]] = {name: [] for name in programs}
            for _ in range(ROUNDS):
                for name, command in programs.items():
                    times[name].append(seconds(command, names))
        medians = {name: statistics.median(values) for name, values in times.items()}
        first = medians["`intensity`, all cores"]
        print(f"{title}, {cores} cores, medians of {ROUNDS} rounds\n")  # noqa: T201 - it is a report
        print("| program | images per second | seconds | times as long |\n| --- | --- | --- | --- |")  # noqa: T201
        for name, median in medians.items():
            print(f"| {name} | {len(names) / median:.1f} | {median:.1f} | {median / first:.2f} |", flush=True)  # noqa: T201
        print()  # noqa: T201


if __name__ == "__main__":
    main()
