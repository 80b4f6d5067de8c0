"""Files that are made to be expensive are refused before the work, or cost no more than honest ones."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import time
import zlib

import pytest
from PIL import Image

from contract.limits import MAX_JPEG_SCAN_PIXELS, MAX_JPEG_SCANS
from contract.problems import ProblemCode, ProblemError
from tests.processor.samples import chunk, encoded, measured, pixels, png

BOMB = zlib.compress(bytes(100_000_000), 9)


def with_scans(size: tuple[int, int], number: int) -> bytes:
    """A black progressive JPEG in `number` valid scans at most, one coefficient of one component in nearly each."""
    data = encoded(Image.new("RGB", size), "JPEG", progressive=True, subsampling=0)
    starts = [found.start() for found in re.finditer(rb"\xff\xda", data)]
    # Pillow's third scan is the first of coefficients other than the mean: its data, "nothing", is right for any.
    template = data[starts[1] : data.index(b"\xff", starts[1] + 10)]
    head, refinement = data[: starts[1]], data[starts[6] : data.index(b"\xff", starts[6] + 14)]
    scans = [
        template[:5] + bytes([component]) + template[6:7] + bytes([index, index, 0]) + template[10:]
        for component in (1, 2, 3)
        for index in range(1, 64)
    ]
    return b"".join([head, refinement, *scans[: number - 2], b"\xff\xd9"])


@pytest.mark.parametrize(("size", "most"), [((64, 64), MAX_JPEG_SCANS), ((8000, 4000), 40)])
def test_scans_are_limited_before_any_is_decoded(size: tuple[int, int], most: int) -> None:
    assert most == min(MAX_JPEG_SCANS, MAX_JPEG_SCAN_PIXELS // (size[0] * size[1]))
    data = with_scans(size, most + 1)
    begun = time.process_time()
    with pytest.raises(ProblemError, match=f"more than {most} scans") as refused:
        measured(data)
    assert refused.value.code is ProblemCode.UNSUPPORTED_FORMAT
    assert time.process_time() - begun < 0.2
    # One less, and what is wrong is that they are not all.
    with pytest.raises(ProblemError, match="some of its scans are missing"):
        measured(with_scans(size, most))


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"tEXt", b"eXIf"])
def test_bombs_in_metadata_are_never_unpacked(kind: bytes) -> None:
    data = png(b"\0\1\2\3", (3, 1), 8, 0, before=chunk(kind, b"name\0\0" + BOMB) * 10)
    begun = time.process_time()
    assert measured(data).average_intensity == 2
    # Unpacking one of the ten takes longer.
    assert time.process_time() - begun < 0.05


def test_data_after_the_last_row_is_not_inflated() -> None:
    data = png(b"", (3, 1), 8, 0, raw_idat=zlib.compress(b"\0\1\2\3" + bytes(300_000_000), 9))
    begun = time.process_time()
    assert measured(data).average_intensity == 2
    assert time.process_time() - begun < 0.05


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (64_000_001, 1), (1, 64_000_001)])
def test_absurd_dimensions_are_refused_by_the_header(size: tuple[int, int]) -> None:
    data = png(b"\0\1\2\3", size, 8, 0)
    with pytest.raises(ProblemError) as refused:
        measured(data)
    assert refused.value.code is ProblemCode.TOO_MANY_PIXELS
    jpeg = encoded(pixels("L", (8, 8)), "JPEG").replace(struct.pack(">HH", 8, 8), b"\xff\xff\xff\xff", 1)
    with pytest.raises(ProblemError) as refused:
        measured(jpeg)
    assert refused.value.code is ProblemCode.TOO_MANY_PIXELS


def test_a_million_frames_are_not_decoded() -> None:
    data = png(b"\0\1\2\3", (3, 1), 8, 0, before=chunk(b"acTL", struct.pack(">II", 10**6, 0)))
    assert (measured(data).frames, measured(data).average_intensity) == (10**6 + 1, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("case", "most"),
    [
        ("'PNG', 'RGB'", 4.2),
        ("'PNG', 'L'", 1.1),
        ("'PNG', '1'", 1.1),
        ("'JPEG', 'RGB'", 4.2),
        ("'JPEG', 'L'", 1.1),
        ("'JPEG', 'RGB', progressive=True, subsampling=0", 10.5),
        ("'JPEG', 'CMYK', progressive=True", 12.5),
    ],
)
def test_memory_is_bounded_by_the_number_of_pixels(case: str, most: float) -> None:
    make = f"""
import sys
from PIL import Image
from tests.processor.samples import encoded
def make(image_format, mode, **options):
    return encoded(Image.new(mode, (8000, 4000)), image_format, **options)
sys.stdout.buffer.write(make({case}))
"""
    # In a process of its own, as the peak would include what encoding takes.
    measure = """
import sys
from PIL import Image
from tests.processor.samples import encoded, measured
for image_format in ("PNG", "JPEG"):  # what the first of a kind imports
    measured(encoded(Image.new("L", (1, 1)), image_format))
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
data = sys.stdin.buffer.read()
before = peak()
measured(data)
print((peak() - before) / 32_000_000)
"""
    data = subprocess.run([sys.executable, "-c", make], stdout=subprocess.PIPE, check=True).stdout
    answer = subprocess.run([sys.executable, "-c", measure], input=data, stdout=subprocess.PIPE, check=True)
    # Less than half a byte would mean that nothing was measured.
    assert 0.5 < float(answer.stdout) <= most
