"""What may be measured is decided by the content, and before any work is done."""

from __future__ import annotations

import re
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from contract.limits import MAX_JPEG_SCANS
from contract.problems import ProblemCode, ProblemError
from tests.processor.images import (
    DHT,
    EOI,
    GRAY,
    PNG_SIGNATURE,
    SOF0,
    SOF2,
    SOS,
    TRUECOLOR,
    Chunk,
    Segment,
    encode,
    idat_of,
    noise,
    photo,
    random_png,
    read_segments,
    with_chunks,
    with_frame,
    with_header,
    with_idat,
    with_rows,
    write_segments,
)
from tests.processor.service import intensity_of, measurement_of, problem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.measurement import ImageFormat

PNG = random_png((24, 20), 8, TRUECOLOR)
JPEG = encode(photo("RGB", (24, 20)), "JPEG")
PROGRESSIVE = encode(photo("RGB", (24, 20)), "JPEG", progressive=True)
MEGABYTE = 1 << 20


@pytest.fixture
def memory() -> Iterator[None]:
    """Count what Python allocates, compressed streams included."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def no_work(*_arguments: object, **_options: object) -> Any:  # noqa: ANN401 - stands in for anything
    """Fail: nothing may be decoded."""
    pytest.fail("something was decoded")


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "JPEG2000", "PDF", "AVIF"])
def test_other_formats_are_unsupported(image_format: str) -> None:
    assert problem_of(encode(noise("RGB", (16, 16)), image_format)) == ProblemCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "data",
    [b"", b"\x89", b"\xff", b"\xff\xd8", PNG[:7], b"plain text", b"<svg/>", b" " + PNG, b"\n" + JPEG, bytes(100)],
)
def test_what_has_no_signature_is_unsupported(data: bytes) -> None:
    assert problem_of(data) == ProblemCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(("data", "image_format", "other"), [(PNG, "PNG", "JPEG"), (JPEG, "JPEG", "PNG")])
def test_only_allowed_formats_are_measured(data: bytes, image_format: ImageFormat, other: ImageFormat) -> None:
    assert measurement_of(data, allowed_formats=(image_format,)).image_format == image_format
    assert problem_of(data, allowed_formats=(other,)) == ProblemCode.UNSUPPORTED_FORMAT


def test_a_refused_format_is_told_what_is_accepted() -> None:
    with pytest.raises(ProblemError, match=r"PNG.*JPEG"):
        measurement_of(b"GIF89a")
    with pytest.raises(ProblemError, match="JPEG") as refusal:
        measurement_of(PNG, allowed_formats=("JPEG",))

    assert "PNG" not in refusal.value.detail


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF])
def test_lossless_and_hierarchical_jpegs_are_unsupported(marker: int) -> None:
    assert problem_of(with_frame(JPEG, marker)) == ProblemCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("marker", [0xC9, 0xCA])
def test_arithmetic_coding_is_unsupported_because_its_damage_cannot_be_told(marker: int) -> None:
    assert problem_of(with_frame(JPEG, marker)) == ProblemCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("marker", [SOF0, 0xC1, SOF2])
@pytest.mark.parametrize("precision", [2, 12, 16])
def test_a_jpeg_of_another_depth_than_8_bits_is_unsupported(marker: int, precision: int) -> None:
    assert problem_of(with_frame(JPEG, marker, precision)) == ProblemCode.UNSUPPORTED_FORMAT


def test_an_extended_sequential_jpeg_is_measured_as_the_baseline_one_that_it_is() -> None:
    assert intensity_of(with_frame(JPEG, 0xC1)) == intensity_of(JPEG)


def of_scans(count: int) -> bytes:
    """Return a gray progressive JPEG of one block in 64 to 127 scans: each coefficient alone, the first ones in two."""
    header = read_segments(encode(noise("L", (8, 8)), "JPEG", progressive=True))
    tables = [Segment(DHT, bytes([number, 1, *[0] * 15, 0])) for number in (0x00, 0x10)]
    refined = count - 64
    # The one code that both tables have, 0: no difference, end of block. Ones fill the byte.
    scans = [Segment(SOS, b"\1\1\0\0\0\0", b"\x7f")]
    for coefficient in range(1, 64):
        approximations = [0x01, 0x10] if coefficient <= refined else [0x00]
        scans += [Segment(SOS, bytes((1, 1, 0, coefficient, coefficient, bits)), b"\x7f") for bits in approximations]
    assert len(scans) == count
    kept = [segment for segment in header if segment.marker not in {DHT, SOS, EOI}]
    return write_segments([*kept, *tables, *scans, Segment(EOI)])


@pytest.mark.parametrize("count", [64, MAX_JPEG_SCANS])
def test_a_jpeg_may_have_so_many_scans(count: int) -> None:
    assert intensity_of(of_scans(count)) == 128.0


@pytest.mark.parametrize("count", [MAX_JPEG_SCANS + 1, 127])
def test_a_jpeg_with_more_scans_is_unsupported(count: int) -> None:
    assert problem_of(of_scans(count)) == ProblemCode.UNSUPPORTED_FORMAT


def test_a_critical_chunk_that_is_not_in_the_standard_is_unsupported() -> None:
    # Apple's own PNGs start with one, and their pixels are not what they seem.
    assert problem_of(with_chunks(PNG, Chunk(b"CgBI", b"\x50\0\x20\2"), before=b"IHDR")) == "unsupported_format"
    assert problem_of(with_chunks(PNG, Chunk(b"NEWC", b"new"))) == ProblemCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("data", [PNG, JPEG, PROGRESSIVE], ids=["PNG", "JPEG", "progressive JPEG"])
def test_an_image_may_have_exactly_as_many_pixels_as_are_allowed(data: bytes) -> None:
    pixels = 24 * 20

    assert measurement_of(data, max_pixels=pixels).pixel_count == pixels
    assert problem_of(data, max_pixels=pixels - 1) == ProblemCode.TOO_MANY_PIXELS


@pytest.mark.usefixtures("memory")
def test_a_png_of_400_million_pixels_in_49_kilobytes_is_refused_without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = zlib.compress(bytes(1 + 2500) * 20_000, 9)
    data = with_idat(with_header(PNG, width=20_000, height=20_000, depth=1, color_type=GRAY), rows)
    assert 40_000 < len(data) < 60_000
    monkeypatch.setattr("processor.png.load", no_work)
    monkeypatch.setattr("processor.rows.isal_zlib.decompressobj", no_work)
    tracemalloc.reset_peak()

    assert problem_of(data) == ProblemCode.TOO_MANY_PIXELS
    assert tracemalloc.get_traced_memory()[1] < MEGABYTE


@pytest.mark.parametrize("size", [(65_535, 65_535), (65_535, 1000)])
def test_a_jpeg_with_too_many_pixels_is_refused_without_work(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = size
    frame = JPEG.index(b"\xff\xc0") + 5
    data = JPEG[:frame] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + JPEG[frame + 4 :]
    monkeypatch.setattr("processor.jpeg.load", no_work)
    monkeypatch.setattr("processor.jpeg.simplejpeg.decode_jpeg", no_work)

    assert problem_of(data) == ProblemCode.TOO_MANY_PIXELS


def test_too_many_pixels_are_told_with_both_numbers() -> None:
    with pytest.raises(ProblemError, match=re.escape("24 x 20 = 480 pixels; at most 100 are measured")):
        measurement_of(PNG, max_pixels=100)


@pytest.mark.parametrize("size", [2**31 - 1, 2**31, 2**32 - 1])
def test_the_largest_sizes_that_a_png_header_can_state_are_refused(size: int) -> None:
    assert problem_of(with_header(PNG, width=size, height=size)) == ProblemCode.TOO_MANY_PIXELS


@pytest.mark.usefixtures("memory")
def test_a_png_that_inflates_to_far_more_than_its_rows_takes_no_memory_for_it() -> None:
    rows = zlib.decompress(idat_of(PNG))
    bomb = with_rows(PNG, rows + bytes(256 * MEGABYTE))
    assert len(bomb) < MEGABYTE
    tracemalloc.reset_peak()

    assert intensity_of(bomb) == intensity_of(PNG)
    assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE


def test_a_png_is_not_inflated_behind_its_last_row() -> None:
    # What follows cannot be inflated, and nobody tries.
    rows = zlib.decompress(idat_of(PNG))
    compressor = zlib.compressobj()
    stream = compressor.compress(rows) + compressor.flush(zlib.Z_FULL_FLUSH)

    assert intensity_of(with_idat(PNG, stream)) == intensity_of(PNG)


def test_the_signature_alone_makes_a_png() -> None:
    assert problem_of(PNG_SIGNATURE) == ProblemCode.CORRUPT_IMAGE
