"""Files that are made to be expensive are refused before the work, or cost no more than honest ones."""

from __future__ import annotations

import functools
import re
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from image_intensity import Limits, MeasurementError, TooManyPixels, UnsupportedFormat
from image_intensity.formats.jpeg.completeness import MAX_SCAN_PIXELS, MAX_SCANS
from image_intensity.formats.jpeg.structure import MAX_SEGMENTS
from image_intensity.formats.png.structure import MAX_CHUNKS
from tests.core.images import DHT, DQT, DRI, EOI, SOF0, SOF2, SOI, SOS, Segment, read_segments, write_segments
from tests.core.samples import chunk, encoded, measured, pixels, png

if TYPE_CHECKING:
    from collections.abc import Callable

BOMB = zlib.compress(bytes(100_000_000), 9)
HUNDRED_MEGABYTES = 100_000_000
# What a Lambda of 1,769 MB has, in MB of a million bytes, to be on the safe side.
PROCESSOR_BYTES = 1_769_000_000


@functools.cache
def unpacking() -> float:
    """CPU seconds that unpacking one bomb takes on this machine, the unit of the times below: 0.1 to 0.5."""
    begun = time.process_time()
    zlib.decompress(BOMB)
    return time.process_time() - begun


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


@pytest.mark.parametrize(("size", "most"), [((64, 64), MAX_SCANS), ((8000, 4000), 68)])
def test_scans_are_limited_before_any_is_decoded(size: tuple[int, int], most: int) -> None:
    assert most == min(MAX_SCANS, MAX_SCAN_PIXELS // (size[0] * size[1]))
    data = with_scans(size, most + 1)
    begun = time.process_time()
    with pytest.raises(MeasurementError, match=f"more than {most} scans") as refused:
        measured(data)
    assert refused.type is UnsupportedFormat
    assert time.process_time() - begun < unpacking()
    # One less, and what is wrong is that they are not all.
    with pytest.raises(MeasurementError, match="some of its scans are missing"):
        measured(with_scans(size, most))


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"tEXt", b"eXIf"])
def test_bombs_in_metadata_are_never_unpacked(kind: bytes) -> None:
    data = png(b"\0\1\2\3", (3, 1), 8, 0, before=chunk(kind, b"name\0\0" + BOMB) * 10)
    begun = time.process_time()
    assert measured(data).average_intensity == 2
    assert time.process_time() - begun < unpacking()


def test_data_after_the_last_row_is_not_inflated() -> None:
    data = png(b"", (3, 1), 8, 0, raw_idat=zlib.compress(b"\0\1\2\3" + bytes(HUNDRED_MEGABYTES), 9))
    begun = time.process_time()
    assert measured(data).average_intensity == 2
    assert time.process_time() - begun < unpacking()


def of_chunks(number: int, kind: bytes) -> bytes:
    """A PNG of so many chunks, most of them empty ones of that kind before its data."""
    return png(b"\0\1\2\3", (3, 1), 8, 0, before=chunk(kind, b"") * (number - 3))


def of_segments(number: int, segment: bytes) -> bytes:
    """A gray JPEG of so many segments, most of them this one."""
    data = encoded(Image.new("L", (8, 8), 2), "JPEG")
    kept = len(read_segments(data)) - 2
    return data[:2] + segment * (number - kept) + data[2:]


RESTARTS = b"".join(bytes([0xFF, 0xD0 + number]) for number in range(8))
EMPTY_COMMENT, EMPTY_TABLES = b"\xff\xfe\0\2", b"\xff\xdb\0\2"


@pytest.mark.parametrize("kind", [b"IDAT", b"tEXt"])
def test_a_png_may_have_so_many_chunks(kind: bytes) -> None:
    assert measured(of_chunks(MAX_CHUNKS, kind)).average_intensity == 2
    with pytest.raises(MeasurementError, match=r"more than 500,000 chunks") as refused:
        measured(of_chunks(MAX_CHUNKS + 1, kind))
    assert refused.type is UnsupportedFormat


def test_a_table_that_is_told_over_and_over_in_one_segment_is_corrupt() -> None:
    data = encoded(Image.new("CMYK", (8, 8), (2, 2, 2, 2)), "JPEG")
    again = data.index(b"\xff\xdb") + 4
    table = data[again : again + 65]
    for number in (33, 34):
        tables = b"\xff\xdb" + struct.pack(">H", 2 + 65 * number) + table * number
        if number == 33:
            assert measured(data[:2] + tables + data[2:]) == replace(measured(data), image_size_bytes=len(data) + 2149)
        else:
            with pytest.raises(MeasurementError, match="longer than what it can hold"):
                measured(data[:2] + tables + data[2:])


@pytest.mark.parametrize("segment", [EMPTY_COMMENT, EMPTY_TABLES])
def test_a_jpeg_may_have_so_many_segments(segment: bytes) -> None:
    assert measured(of_segments(MAX_SEGMENTS, segment)).average_intensity == 2
    with pytest.raises(MeasurementError, match=r"more than 10,000 segments") as refused:
        measured(of_segments(MAX_SEGMENTS + 1, segment))
    assert refused.type is UnsupportedFormat


def in_scan(data: bytes) -> bytes:
    """A gray JPEG of 8 x 8 pixels with `data` behind the data of its scan."""
    segments = read_segments(encoded(Image.new("L", (8, 8), 2), "JPEG"))
    return write_segments(
        segment._replace(scan=segment.scan + data) if segment.marker == SOS else segment for segment in segments
    )


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (lambda: of_chunks(HUNDRED_MEGABYTES // 12, b"IDAT"), "more than 500,000 chunks"),
        (lambda: of_chunks(HUNDRED_MEGABYTES // 12, b"tRNS"), "more than 500,000 chunks"),
        (lambda: of_segments(HUNDRED_MEGABYTES // 4, EMPTY_COMMENT), "more than 10,000 segments"),
        (lambda: of_segments(HUNDRED_MEGABYTES // 4, EMPTY_TABLES), "more than 10,000 segments"),
        (lambda: in_scan(RESTARTS * (HUNDRED_MEGABYTES // 16)), "restart markers are missing or out of order"),
        (lambda: in_scan(b"\xff" * HUNDRED_MEGABYTES), None),
        (lambda: in_scan(b"\xff" * HUNDRED_MEGABYTES + b"\0"), None),
    ],
    ids=["IDAT", "tRNS", "comments", "tables", "restart markers", "fill bytes", "stuffed fill bytes"],
)
def test_a_hundred_megabytes_of_nothing_cost_little(make: Callable[[], bytes], outcome: str | None) -> None:
    data = make()
    begun = time.process_time()
    if outcome:
        with pytest.raises(MeasurementError, match=outcome):
            measured(data)
    else:
        assert measured(data).average_intensity == 2
    # Each turn in Python costs 1 to 4 us, each match object 0.2 us: 8 to 100 s, were they not limited.
    assert time.process_time() - begun < 40 * unpacking()


def with_restart_everywhere(blocks: int) -> bytes:
    """A gray JPEG, `blocks` wide and high, with a restart marker behind every block but the last."""
    segments = read_segments(encoded(Image.new("L", (8, 8), 2), "JPEG"))
    (block,) = (segment.scan for segment in segments if segment.marker == SOS)
    intervals = b"".join(block + bytes([0xFF, 0xD0 + number]) for number in range(8)) * (blocks * blocks // 8)
    frame = next(index for index, segment in enumerate(segments) if segment.marker == SOF0)
    content = segments[frame].content or b""
    segments[frame] = Segment(SOF0, content[:1] + struct.pack(">HH", 8 * blocks, 8 * blocks) + content[5:])
    scan = segments[-2]._replace(scan=intervals[:-2])
    return write_segments([*segments[:-2], Segment(DRI, b"\0\1"), scan, Segment(EOI)])


@pytest.mark.parametrize("surplus", [b"", bytes(9)], ids=["as it is", "with a harmless warning"])
def test_an_honest_jpeg_may_have_a_restart_marker_behind_every_block(surplus: bytes) -> None:
    data = with_restart_everywhere(512)
    assert measured(data[:-2] + surplus + data[-2:]).average_intensity == 2
    with pytest.raises(MeasurementError, match="restart markers are missing or out of order"):
        measured(data.replace(b"\xff\xd5", b"", 1))


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (64_000_001, 1), (1, 64_000_001)])
def test_absurd_dimensions_are_refused_by_the_header(size: tuple[int, int]) -> None:
    data = png(b"\0\1\2\3", size, 8, 0)
    with pytest.raises(MeasurementError) as refused:
        measured(data)
    assert refused.type is TooManyPixels
    jpeg = encoded(pixels("L", (8, 8)), "JPEG").replace(struct.pack(">HH", 8, 8), b"\xff\xff\xff\xff", 1)
    with pytest.raises(MeasurementError) as refused:
        measured(jpeg)
    assert refused.type is TooManyPixels


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
from tests.core.samples import encoded
def make(image_format, mode, **options):
    return encoded(Image.new(mode, (8000, 4000)), image_format, **options)
sys.stdout.buffer.write(make({case}))
"""
    data = subprocess.run([sys.executable, "-c", make], stdout=subprocess.PIPE, check=True).stdout
    taken, _, told = memory_of(data)
    # Less than half a byte would mean that nothing was measured.
    assert 0.5 < taken / 32_000_000 <= most
    # What is told before decoding is the most that it takes, but for a few strips.
    assert taken < told + 8_000_000


def memory_of(data: bytes, **options: str) -> tuple[int, int, int]:
    """The memory that measuring a file takes, that of its process in all, and what is told before decoding, in bytes.

    In a process of its own, as the peak would include what making it takes.
    """
    measure = f"""
import sys
from PIL import Image
from image_intensity import Options
from image_intensity.formats import jpeg, png
from tests.core.samples import encoded, measured
for image_format in ("PNG", "JPEG"):  # what the first of a kind imports
    measured(encoded(Image.new("L", (1, 1)), image_format))
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
data = sys.stdin.buffer.read({len(data)})  # at once: no larger buffer before
before = peak()
measured(data, Options(**{options}), max_pixels=200_000_000)
after = peak()
print(after - before, after, (png if data.startswith(png.SIGNATURE) else jpeg).read(data).decoded_bytes)
"""
    answer = subprocess.run([sys.executable, "-c", measure], input=data, stdout=subprocess.PIPE, check=True)
    taken, peak, told = map(int, answer.stdout.split())
    return taken, peak, told


def of_one_color(size: tuple[int, int], sampling: list[int]) -> bytes:
    """A progressive JPEG in as few scans as there can be, with ten bytes for each block.

    size: width and height, multiples of 16. sampling: both factors of each component as in the frame header; the
    first are the largest.
    """
    width, height = size
    numbers = range(len(sampling))
    frame = struct.pack(">BHHB", 8, height, width, len(sampling))
    frame += b"".join(bytes([component, sampling[component], 0]) for component in numbers)
    areas = [(factors >> 4) * (factors & 15) for factors in sampling]
    blocks = [width * height // 64 * area // areas[0] for area in areas]
    # Codes of 16 bits: 0 for no difference or the end of a block, 1 (in the second) for 16 coefficients that are zero.
    codes = [Segment(DHT, bytes([table, *[0] * 15, 2, 0x00, other])) for table, other in ((0x00, 0x01), (0x10, 0xF0))]
    start = bytes([len(sampling)]) + b"".join(bytes([component, 0]) for component in numbers) + b"\0\0\0"
    first = Segment(SOS, start, b"\0\0" * sum(blocks))
    block = b"\0\1\0\1\0\1\0\0"
    rest = [Segment(SOS, bytes([1, component, 0, 1, 63, 0]), block * blocks[component]) for component in numbers]
    head = [Segment(SOI), Segment(DQT, b"\0" + b"\1" * 64), Segment(SOF2, frame), *codes]
    return write_segments([*head, first, *rest, Segment(EOI)])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("size", "sampling"),
    [((12_000, 10_000), [0x11] * 4), ((20_000, 10_000), [0x22, 0x11, 0x11])],
    ids=["progressive CMYK", "progressive 4:2:0"],
)
def test_the_worst_large_images_fit_the_memory_of_the_processor(size: tuple[int, int], sampling: list[int]) -> None:
    data = of_one_color(size, sampling)
    assert 40_000_000 < len(data) <= HUNDRED_MEGABYTES
    taken, peak, told = memory_of(data)
    assert 0.95 * Limits().max_decoded_bytes < told <= Limits().max_decoded_bytes
    # What is told leaves out the copy of a JPEG.
    assert told < taken < told + len(data) + 8_000_000
    assert peak + HUNDRED_MEGABYTES - len(data) < PROCESSOR_BYTES


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_image_of_one_row_is_measured_in_parts() -> None:
    data = png(b"\0" + bytes(4 * 32_000_000), (32_000_000, 1), 8, 6)
    taken, *_ = memory_of(data, luma="bt709", alpha="black")
    # The pixels, and two rows that Pillow unpacks.
    assert 10 < taken / 32_000_000 < 12.5
