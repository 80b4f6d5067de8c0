"""Every real image of the corpus is measured, exactly, or its refusal is listed here with the reason."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from image_intensity import MeasurementError
from tests.attack.judges import pillow
from tests.bench.images import CORPUS, corpus_files
from tests.core.samples import MAX_PIXELS, measured
from tests.support import executable, missing

if TYPE_CHECKING:
    from pathlib import Path

# The damaged files of PngSuite, by name. (Six more have no PNG signature.)
REFUSED = {
    "xc1n0g08.png": "color type 1",
    "xc9n2c08.png": "color type 9",
    "xcsn0g01.png": "wrong checksum of the data",
    "xd0n2c08.png": "bit depth 0",
    "xd3n2c08.png": "bit depth 3",
    "xd9n2c08.png": "bit depth 99",
    "xdtn0g01.png": "no data",
    "xhdn0g08.png": "wrong checksum of the header",
}


# Bytes: larger files take cwebp seconds.
SMALL = 100_000
ENOUGH = 210


def difference(file: Path) -> str | None:
    """How the measurement of a file is not what is expected, or None."""
    data = file.read_bytes()
    try:
        average = measured(data).average_intensity
    except MeasurementError as problem:
        return None if file.name in REFUSED else f"{file}: {problem}"
    if file.name in REFUSED or average != pillow(data, MAX_PIXELS):
        return f"{file}: measured as {average}"
    return None


# As people call cwebp.
CWEBP = [
    *([f"-q {quality} -m {method}"] for quality in (10, 50, 75, 95) for method in (0, 4, 6)),
    *([f"-lossless -z {level}"] for level in (0, 3, 6)),
    *(["-near_lossless 40"], ["-lossless -exact"], ["-preset drawing"], ["-alpha_q 30 -partition_limit 50"]),
    *(["-segments 4 -sns 80 -f 60 -sharpness 5"], ["-af -pass 3 -jpeg_like"], ["-crop 0 0 16 16"]),
]


def test_webps_that_cwebp_makes_of_the_corpus_are_exact(tmp_path: Path) -> None:
    cwebp = executable("cwebp")
    files = [file for file in corpus_files() if file.stat().st_size < SMALL and file.name not in REFUSED]
    if not files:
        missing(f"a corpus of real images in {CORPUS.name} (make corpus)")
    wrong, made = [], 0
    for number, file in enumerate(files):
        [options] = CWEBP[number % len(CWEBP)]
        webp = tmp_path / f"{number}.webp"
        command = [cwebp, "-quiet", "-mt", *options.split(), str(file), "-o", str(webp)]
        if made == ENOUGH:
            break
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            made += 1
            wrong += [line] if (line := difference(webp)) else []
    assert wrong == []
    assert made == ENOUGH


def test_every_image_of_the_corpus_is_exact() -> None:
    files = corpus_files()
    if not files:
        missing(f"a corpus of real images in {CORPUS.name} (make corpus)")
    assert [line for file in files if (line := difference(file))] == []
