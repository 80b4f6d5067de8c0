"""Files that are made to be expensive are refused before the work, or cost no more than honest ones."""

from __future__ import annotations

import importlib
import struct
import subprocess
import sys
import zlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from zlib_ng import zlib_ng

from image_intensity import CorruptImage, Limits, MeasurementError, TooManyPixels, UnsupportedFormat
from image_intensity.formats.jpeg import structure as jpeg
from image_intensity.formats.jpeg.completeness import MAX_PASSES
from image_intensity.formats.jpeg.structure import MAX_SEGMENTS
from image_intensity.formats.png import structure as png_format
from image_intensity.formats.png.blocks import FREE_BYTES, check_blocks
from image_intensity.formats.png.decoding import MAX_ROWS
from image_intensity.formats.png.rows import DEFLATED_BYTES, STORED_BYTES, SURPLUS_BYTES, most_deflated
from image_intensity.formats.png.structure import BAND_MEMORY, CHUNK_BYTES, MAX_CHUNKS
from tests.bench.images import photo
from tests.core.images import DHT, DQT, DRI, EOI, SOF0, SOF2, SOI, SOS, Segment, read_segments, write_segments
from tests.core.samples import chunk, encoded, measured, png

if TYPE_CHECKING:
    from collections.abc import Callable

BOMB = zlib_ng.compress(bytes(100_000_000), 9)
HUNDRED_MEGABYTES = 100_000_000
# What a Lambda of 1,769 MB has, in MB of a million bytes, to be on the safe side.
PROCESSOR_BYTES = 1_769_000_000


class Work:
    """What the measurement does, counted: bytes that zlib-ng gives out and takes in, and calls by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inflated = self.deflated = self.largest = 0
        self.calls: Counter[str] = Counter()
        self.monkeypatch = monkeypatch
        begin = zlib_ng.decompressobj

        def counted(*window: int) -> Any:  # noqa: ANN401 - zlib-ng's, which has no name
            """Not the samples of blocks, which have a window."""
            return begin(*window) if window else Stream(self, begin())

        monkeypatch.setattr(zlib_ng, "decompressobj", counted)

    def count(self, place: str) -> None:
        """Count the calls of a function of `image_intensity.formats`, by its last name."""
        module, _, name = f"image_intensity.formats.{place}".rpartition(".")
        function = getattr(importlib.import_module(module), name)

        def counted(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the function's own
            self.calls[name] += 1
            return function(*arguments, **options)

        self.monkeypatch.setattr(f"{module}.{name}", counted)


class Stream:
    """A zlib stream that counts what it is asked for."""

    def __init__(self, work: Work, stream: Any) -> None:  # noqa: ANN401 - zlib-ng's, which has no name
        self.work, self.stream = work, stream

    def decompress(self, data: bytes, size: int) -> bytes:
        block: bytes = self.stream.decompress(data, size)
        self.work.deflated += len(data) - len(self.stream.unconsumed_tail)
        self.work.inflated += len(block)
        self.work.largest = max(self.work.largest, len(block))
        return block

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the stream's own
        return getattr(self.stream, name)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """What measuring costs, without a clock: a busy machine is no slower by it."""
    return Work(monkeypatch)


def refining(passes: int) -> bytes:
    """A gray progressive JPEG of 64 x 64 black pixels that names all coefficients so many times, bit by bit."""
    segments = read_segments(encoded(Image.new("L", (64, 64)), "JPEG", progressive=True))
    head = [segment for segment in segments if segment.marker not in {DHT, SOS, EOI}]
    # One code each: no difference, and the end of 64 blocks, which has six bits more.
    tables = [Segment(DHT, bytes([0, 1, *[0] * 15, 0])), Segment(DHT, bytes([16, 1, *[0] * 15, 0x60]))]
    first = Segment(SOS, b"\1\1\0\0\0\0", bytes(8))
    bits = [0x0D, *(high << 4 | high - 1 for high in range(13, 0, -1))]
    turns = (bits * 2)[: passes - 1]
    scans = [Segment(SOS, bytes([1, 1, 0, 1, 63, turn]), b"\1") for turn in turns]
    return write_segments([*head, *tables, first, *scans, Segment(EOI)])


def test_scans_that_go_over_all_pixels_are_limited_before_any_is_decoded(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("image_intensity.formats.jpeg.decoding.simplejpeg.decode_jpeg", None)
    work.count("jpeg.completeness.walk")
    with pytest.raises(UnsupportedFormat, match="go over its pixels more than 10 times"):
        measured(refining(14))
    # The first scan has one coefficient, the others 63 of 64 each.
    assert work.calls["walk"] == MAX_PASSES + 1
    # Ten are allowed. The error comes from the missing last bits.
    with pytest.raises(CorruptImage, match="some of its scans are missing"):
        measured(refining(MAX_PASSES + 1))


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"tEXt", b"eXIf"])
def test_bombs_in_metadata_are_never_unpacked(kind: bytes, work: Work) -> None:
    data = png(b"\0\1\2\3", (3, 1), 8, 0, before=chunk(kind, b"name\0\0" + BOMB) * 10)
    assert measured(data).average_intensity == 2
    assert (work.inflated, work.deflated) == (4, len(zlib.compress(b"\0\1\2\3")))


def test_little_of_the_data_after_the_last_row_is_inflated(work: Work) -> None:
    data = png(b"", (3, 1), 8, 0, raw_idat=zlib.compress(b"\0\1\2\3" + bytes(HUNDRED_MEGABYTES), 9))
    with pytest.raises(UnsupportedFormat, match="behind its last row"):
        measured(data)
    assert work.inflated == 4 + SURPLUS_BYTES + 1
    # At most 64 KB of it are in memory.
    assert work.largest <= STORED_BYTES


def of_blocks(number: int, block: bytes, rows: bytes) -> bytes:
    """A PNG of 100 x 100 gray pixels with so many blocks before its rows, in a stream that is right."""
    stream = b"\x78\x01" + block * number + zlib.compress(rows)[2:-4] + struct.pack(">I", zlib.adler32(rows))
    return png(b"", (100, 100), 8, 0, raw_idat=stream)


# Blocks of a few bits each: stored ones, and four with the fixed codes, which end at a whole byte.
EMPTY_BLOCKS = {"stored": b"\0\0\0\xff\xff", "fixed": sum(2 << 10 * n for n in range(4)).to_bytes(5, "little")}


@pytest.mark.parametrize("kind", EMPTY_BLOCKS)
@pytest.mark.parametrize("size", [4_900_000, HUNDRED_MEGABYTES])
def test_empty_blocks_are_not_inflated_beyond_what_the_rows_can_need(kind: str, size: int, work: Work) -> None:
    rows = (b"\0" + bytes([2]) * 100) * 100
    few = of_blocks(1000, EMPTY_BLOCKS[kind], rows)
    assert measured(few).average_intensity == 2

    work.deflated = 0
    with pytest.raises(UnsupportedFormat, match="longer than encoders make it"):
        measured(of_blocks(size // 5, EMPTY_BLOCKS[kind], rows))
    assert work.deflated <= most_deflated(len(rows)) + DEFLATED_BYTES


def of_tables(number: int) -> bytes:
    """A PNG of 1000 gray columns, in so many blocks with tables of their own, a run of 258 zeros in each."""
    # 13.5 bytes each: codes for 0, 285 (a run of 258, with one distance) and 256, and no others.
    # Not the last, with tables; 286 literals, one distance, and 18 lengths of codes for lengths.
    bits = f"{0b100:03b}"[::-1] + f"{29:05b}"[::-1] + f"{0:05b}"[::-1] + f"{14:04b}"[::-1]
    sizes = {18: 1, 1: 3, 2: 2, 0: 3}
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    bits += "".join(f"{sizes.get(symbol, 0):03b}"[::-1] for symbol in order)
    codes = {18: "0", 2: "10", 0: "110", 1: "111"}
    zeros = [codes[18] + f"{count - 11:07b}"[::-1] for count in (138, 117, 28)]
    bits += codes[2] + zeros[0] + zeros[1] + codes[2] + zeros[2] + codes[1] + codes[1]
    # Codes: 285 is 0, 0 is 10, 256 is 11; the distance is 0.
    bits += "0" + "0" + "11"
    eight = int((bits * 8)[::-1], 2).to_bytes(len(bits), "little")
    rows = 258 * number // 1001 - 1
    # A stored block has the first byte, which the first run repeats. An empty block and the checksum are the end.
    first, last = b"\0\1\0\xfe\xff\0", b"\3\0" + struct.pack(">I", zlib.adler32(bytes(1 + 258 * number)))
    return png(b"", (1000, rows), 8, 0, raw_idat=b"\x78\x01" + first + eight * (number // 8) + last)


def test_blocks_with_tables_of_their_own_may_not_be_tiny(work: Work) -> None:
    few = of_tables(8 * 4000)
    assert len(few) < FREE_BYTES
    assert measured(few).average_intensity == 0

    inflated = work.inflated
    with pytest.raises(UnsupportedFormat, match="smaller blocks than encoders write"):
        measured(of_tables(8 * 10_000))
    assert work.inflated == inflated


def test_honest_data_has_larger_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("image_intensity.formats.png.blocks.FREE_BYTES", 0)
    for image in (photo(1200, 900), photo(1200, 900).convert("P"), Image.new("RGB", (4000, 3000), "red")):
        data = encoded(image, "PNG")
        for _ in range(20):
            check_blocks(png_format.read(data).deflated())


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY])
def test_what_a_compressor_makes_of_noise_is_never_too_long(level: int, strategy: int) -> None:
    noisy = np.random.default_rng(1).integers(144, 256, (500, 301), np.uint8)
    noisy[:, 0] = 0
    # With a flush after every row.
    compressor = zlib.compressobj(level, strategy=strategy)
    stream = b"".join(compressor.compress(row) + compressor.flush(zlib.Z_FULL_FLUSH) for row in noisy)
    data = png(b"", (300, 500), 8, 0, raw_idat=stream + compressor.flush())
    assert measured(data).average_intensity == noisy[:, 1:].mean()


def test_a_png_may_have_so_many_rows() -> None:
    with pytest.raises(UnsupportedFormat, match="5,000,001 rows; at most 5,000,000"):
        measured(png(b"", (1, MAX_ROWS + 1), 8, 0))
    rows = np.tile(np.array([0, 2], np.uint8), MAX_ROWS)
    assert measured(png(rows.tobytes(), (1, MAX_ROWS), 8, 0)).average_intensity == 2


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
    data = of_chunks(MAX_CHUNKS + 400, kind)
    most = MAX_CHUNKS + len(data) // CHUNK_BYTES
    assert most < MAX_CHUNKS + 400
    with pytest.raises(UnsupportedFormat, match=f"more than {most:,} chunks"):
        measured(data)


def test_chunks_with_enough_in_them_are_not_too_many() -> None:
    # ffmpeg writes chunks of 4 KB. These 60,000 are half as long.
    rows = np.full((11_000, 11_101), 2, np.uint8)
    rows[:, 0] = 0
    stream = zlib.compress(rows.tobytes(), 0)
    size = CHUNK_BYTES - 12
    chunks = b"".join(chunk(b"IDAT", stream[start : start + size]) for start in range(0, len(stream), size))
    assert len(chunks) > 59_000 * CHUNK_BYTES
    assert (
        measured(png(b"", (11_100, 11_000), 8, 0, before=chunks, raw_idat=b""), max_pixels=2 * 10**8).average_intensity
        == 2
    )


def test_a_table_that_is_told_over_and_over_in_one_segment_is_corrupt() -> None:
    data = encoded(Image.new("CMYK", (8, 8), (2, 2, 2, 2)), "JPEG")
    head, *rest = read_segments(data)
    table = next(segment.content or b"" for segment in rest if segment.marker == DQT)[:65]
    longest = write_segments([head, Segment(DQT, table * 33), *rest])
    assert measured(longest) == replace(measured(data), image_size_bytes=len(longest))
    with pytest.raises(MeasurementError, match="longer than what it can hold"):
        measured(write_segments([head, Segment(DQT, table * 34), *rest]))


@pytest.mark.parametrize("segment", [EMPTY_COMMENT, EMPTY_TABLES])
def test_a_jpeg_may_have_so_many_segments(segment: bytes) -> None:
    assert measured(of_segments(MAX_SEGMENTS, segment)).average_intensity == 2
    with pytest.raises(UnsupportedFormat, match=r"more than 10,000 segments"):
        measured(of_segments(MAX_SEGMENTS + 1, segment))


def in_scan(data: bytes) -> bytes:
    """A gray JPEG of 8 x 8 pixels with `data` behind the data of its scan."""
    segments = read_segments(encoded(Image.new("L", (8, 8), 2), "JPEG"))
    return write_segments(
        segment._replace(scan=segment.scan + data) if segment.marker == SOS else segment for segment in segments
    )


@pytest.mark.parametrize(
    ("make", "counted", "most"),
    [
        (lambda: of_chunks(HUNDRED_MEGABYTES // 12, b"IDAT"), "png.structure.content_of", 0),
        (lambda: of_chunks(HUNDRED_MEGABYTES // 12, b"tRNS"), "png.structure.read_ancillary", 98_900),
        (lambda: of_segments(HUNDRED_MEGABYTES // 4, EMPTY_COMMENT), "jpeg.structure.read_marker", MAX_SEGMENTS + 1),
        (lambda: of_segments(HUNDRED_MEGABYTES // 4, EMPTY_TABLES), "jpeg.structure.read_marker", MAX_SEGMENTS + 1),
        (lambda: in_scan(b"\0" + RESTARTS * (HUNDRED_MEGABYTES // 16) + b"\0"), "jpeg.completeness.walk", 1),
    ],
    ids=["IDAT", "tRNS", "comments", "tables", "restart markers"],
)
def test_a_hundred_megabytes_of_nothing_are_refused_after_little_work(
    make: Callable[[], bytes], counted: str, most: int, work: Work
) -> None:
    work.count(counted)
    with pytest.raises(MeasurementError, match=r"more than|out of order"):
        measured(make())
    assert work.calls.total() <= most
    assert work.inflated == 0


@pytest.mark.parametrize(
    "surplus",
    [b"\xff" * HUNDRED_MEGABYTES, RESTARTS * (HUNDRED_MEGABYTES // 16)],
    ids=["fill bytes", "restart markers behind the last interval"],
)
def test_a_hundred_megabytes_that_mean_nothing_are_left_out(surplus: bytes, work: Work) -> None:
    work.count("jpeg.completeness.walk")
    work.count("jpeg.structure.read_marker")
    data = in_scan(surplus)
    assert measured(data).average_intensity == 2
    assert work.calls["walk"] == 1
    assert work.calls["read_marker"] < 10
    assert len(jpeg.read(data).essentials) < 1000


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


def test_an_honest_jpeg_may_have_a_restart_marker_behind_every_block() -> None:
    data = with_restart_everywhere(512)
    assert measured(data).average_intensity == 2
    with pytest.raises(MeasurementError, match="restart markers are missing or out of order"):
        measured(data.replace(b"\xff\xd5", b"", 1))


def cmyk_with_restarts(number: int) -> bytes:
    """A CMYK JPEG of a sampling that TurboJPEG does not take, with so many restart intervals."""
    image = Image.new("CMYK", (16 * number, 16), (9, 9, 9, 9))
    return encoded(image, "JPEG", subsampling="4:2:0", restart_marker_blocks=1)


def test_a_jpeg_that_is_decoded_with_paddings_may_not_have_many_restart_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("image_intensity.formats.jpeg.padding.MOST_PADDING", 10_000)
    # 72 bytes behind each interval, which has six.
    assert measured(cmyk_with_restarts(100)).pixel_count == 25_600
    monkeypatch.setattr("image_intensity.formats.jpeg.padding.load", None)
    with pytest.raises(UnsupportedFormat, match="more restart markers"):
        measured(cmyk_with_restarts(400))


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (2**32 - 1, 2**32 - 1), (64_000_001, 1), (1, 64_000_001)])
def test_absurd_dimensions_are_refused_by_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(TooManyPixels):
        measured(png(b"\0\1\2\3", size, 8, 0))


def test_a_million_frames_are_not_decoded() -> None:
    data = png(b"\0\1\2\3", (3, 1), 8, 0, before=chunk(b"acTL", struct.pack(">II", 10**6, 0)))
    assert (measured(data).frames, measured(data).average_intensity) == (10**6 + 1, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("case", "most"),
    [
        ("'PNG', 'P'", 1.1),
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
    # Decoding takes at most the memory that was told before, and a few strips.
    assert taken < told + 8_000_000


def memory_of(data: bytes, region: str | None = None, **options: str) -> tuple[int, int, int]:
    """The memory that measuring a file takes, that of its process in all, and what is told before decoding, in bytes.

    In a process of its own, as the peak would include what making it takes.
    """
    measure = f"""
import sys
from PIL import Image
from image_intensity import FORMATS, Limits, Options, Region, formats
from tests.core.samples import encoded, measured
for image_format in FORMATS:  # what the first of a kind imports
    measured(encoded(Image.new("L", (1, 1)), image_format))
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
data = sys.stdin.buffer.read({len(data)})  # in one read, because buffers that grow would raise the peak
before = peak()
region = {region!r}
measured(data, Options(region=region and Region.read(region), **{options}), max_pixels=200_000_000)
after = peak()
print(after - before, after, formats.read(data, Limits(formats=tuple(FORMATS)))[1].decoded_bytes)
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
    # The told memory does not include the copy of a JPEG.
    assert told < taken < told + len(data) + 8_000_000
    assert peak + HUNDRED_MEGABYTES - len(data) < PROCESSOR_BYTES


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_unusual_sampling_takes_no_more_memory_than_is_told() -> None:
    taken, _, told = memory_of(of_one_color((8000, 4000), [0x42, 0x11, 0x11]))
    assert taken < told + 40_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("size", [(8000, 4000), (1_000_000, 32), (10, 3_200_000)])
def test_a_png_in_bands_takes_little_memory(size: tuple[int, int]) -> None:
    taken, _, told = memory_of(encoded(Image.new("RGB", size), "PNG"))
    assert taken < told + 8_000_000 == BAND_MEMORY + 8_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_image_of_one_row_is_measured_in_parts() -> None:
    data = png(b"\0" + bytes(4 * 32_000_000), (32_000_000, 1), 8, 6)
    taken, *_ = memory_of(data, luma="bt709", alpha="black")
    # The pixels, and two rows that Pillow unpacks.
    assert 10 < taken / 32_000_000 < 12.5
