"""What may be measured is decided by the content, and before any work is done."""

from __future__ import annotations

import re
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from image_intensity import (
    CorruptImage,
    EmptyFile,
    Limits,
    MeasurementError,
    TooManyPixels,
    UnsupportedFormat,
    formats,
    measure,
)
from image_intensity.formats.jpeg.completeness import MAX_SCANS
from image_intensity.formats.jpeg.picture import Jpeg
from image_intensity.formats.png import structure as png
from image_intensity.formats.png.rows import SURPLUS_BYTES
from tests.core.images import (
    DHT,
    EOI,
    GRAY,
    INDEXED,
    PNG_SIGNATURE,
    SOF0,
    SOF2,
    SOS,
    TRUECOLOR,
    TRUECOLOR_ALPHA,
    Chunk,
    Segment,
    encode,
    encode_png,
    idat_of,
    noise,
    photo,
    random_png,
    random_samples,
    read_segments,
    with_chunks,
    with_frame,
    with_header,
    with_idat,
    with_rows,
    with_sampling,
    with_segments,
    write_segments,
)
from tests.core.samples import MAX_PIXELS, intensity_of, measurement_of, problem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_intensity import ImageFormat

PNG = random_png((24, 20), 8, TRUECOLOR)
JPEG = encode(photo("RGB", (24, 20)), "JPEG")
INDEXED_PNG = random_png((24, 20), 8, INDEXED)
PROGRESSIVE = encode(photo("RGB", (24, 20)), "JPEG", progressive=True)
MEGABYTE = 1 << 20
# The marker of a segment that has the height, behind the first scan (T.81, B.2.5).
DNL = 0xDC
# The markers of hierarchical files: before their first frame, and between two.
DHP, EXP = 0xDE, 0xDF


@pytest.fixture
def memory() -> Iterator[None]:
    """Count what Python allocates, compressed streams included."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def no_work(*_arguments: object, **_options: object) -> Any:  # noqa: ANN401 - stands in for anything
    pytest.fail("something was decoded")


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "JPEG2000", "PDF", "AVIF"])
def test_other_formats_are_unsupported(image_format: str) -> None:
    assert problem_of(encode(noise("RGB", (16, 16)), image_format)) is UnsupportedFormat


@pytest.mark.parametrize(
    "data",
    [b"\x89", b"\xff", b"\xff\xd8", PNG[:7], b"plain text", b"<svg/>", b" " + PNG, b"\n" + JPEG, bytes(100)],
)
def test_what_has_no_signature_is_unsupported(data: bytes) -> None:
    assert problem_of(data) is UnsupportedFormat


def test_a_file_without_bytes_is_empty() -> None:
    assert problem_of(b"") is EmptyFile


@pytest.mark.parametrize(("data", "image_format", "other"), [(PNG, "PNG", "JPEG"), (JPEG, "JPEG", "PNG")])
def test_only_allowed_formats_are_measured(data: bytes, image_format: ImageFormat, other: ImageFormat) -> None:
    assert measurement_of(data, allowed_formats=(image_format,)).image_format == image_format
    with pytest.raises(UnsupportedFormat, match=f"^The content of this file is not {other}.$"):
        measurement_of(data, allowed_formats=(other,))
    with pytest.raises(UnsupportedFormat, match="is not PNG or JPEG"):
        measurement_of(b"GIF89a")


@pytest.mark.parametrize(
    ("marker", "kind"),
    [
        (0xC3, "a lossless JPEG"),
        *((marker, "a hierarchical JPEG") for marker in (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)),
        # Damage to these cannot be told.
        *((marker, "an arithmetic-coded JPEG") for marker in (0xC9, 0xCA, 0xCB)),
        (0xF7, "a JPEG-LS file"),
    ],
)
def test_other_kinds_of_jpeg_are_unsupported_and_named(marker: int, kind: str) -> None:
    with pytest.raises(UnsupportedFormat, match=f"This is {kind}, which is not measured. Convert it to PNG."):
        measurement_of(with_frame(JPEG, marker))


def test_a_hierarchical_jpeg_says_so_before_its_first_frame() -> None:
    frame = next(segment for segment in read_segments(JPEG) if segment.marker == SOF0)
    pyramid = with_segments(JPEG, Segment(DHP, frame.content), at=1)
    expand = Segment(EXP, b"\x11")

    with pytest.raises(UnsupportedFormat, match="This is a hierarchical JPEG"):
        measurement_of(with_segments(with_segments(pyramid, frame, at=-1), expand, at=-2))


@pytest.mark.parametrize("marker", [SOF0, 0xC1, SOF2])
@pytest.mark.parametrize("precision", [2, 12, 16])
def test_a_jpeg_of_another_depth_than_8_bits_is_unsupported(marker: int, precision: int) -> None:
    with pytest.raises(UnsupportedFormat, match=f"This is a {precision}-bit JPEG, which is not measured"):
        measurement_of(with_frame(JPEG, marker, precision))


@pytest.mark.parametrize(
    "sampling", [[0x11] * 2, [0x11] * 5, [0x32, 0x21, 0x11], [0x13, 0x12, 0x11], [0x31, 0x11, 0x11, 0x21]]
)
def test_frame_headers_that_no_decoder_takes_are_unsupported(sampling: list[int]) -> None:
    with pytest.raises(UnsupportedFormat, match=r"This is a JPEG (of [25] components|with fractional).*Convert it"):
        measurement_of(with_sampling((30, 20), sampling))


def test_a_jpeg_that_has_its_height_behind_its_first_scan_is_unsupported() -> None:
    segments: list[Segment] = []
    for segment in read_segments(JPEG):
        if segment.marker == SOF0:
            content = segment.content or b""
            height = content[1:3]
            segments.append(segment._replace(content=content[:1] + b"\0\0" + content[3:]))
        elif segment.marker == SOS:
            segments += [segment, Segment(DNL, height)]
        else:
            segments.append(segment)

    with pytest.raises(UnsupportedFormat, match="DNL"):
        measurement_of(write_segments(segments))


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


@pytest.mark.parametrize("count", [64, MAX_SCANS, MAX_SCANS + 1, 127])
def test_a_jpeg_may_have_so_many_scans(count: int) -> None:
    if count <= MAX_SCANS:
        assert intensity_of(of_scans(count)) == 128.0
    else:
        assert problem_of(of_scans(count)) is UnsupportedFormat


def test_a_critical_chunk_that_is_not_in_the_standard_is_unsupported() -> None:
    # Apple's own kind of PNG starts with one. Its pixels are stored in another order.
    assert problem_of(with_chunks(PNG, Chunk(b"CgBI", b"\x50\0\x20\2"), before=b"IHDR")) is UnsupportedFormat
    assert problem_of(with_chunks(PNG, Chunk(b"NEWC", b"new"))) is UnsupportedFormat
    assert problem_of(PNG_SIGNATURE) is CorruptImage


@pytest.mark.parametrize("data", [PNG, JPEG, PROGRESSIVE], ids=["PNG", "JPEG", "progressive JPEG"])
def test_an_image_may_have_exactly_as_many_pixels_as_are_allowed(data: bytes) -> None:
    pixels = 24 * 20

    assert measurement_of(data, max_pixels=pixels).pixel_count == pixels
    with pytest.raises(TooManyPixels, match="24 x 20 = 480 pixels; at most 479 are measured"):
        measurement_of(data, max_pixels=pixels - 1)


@pytest.mark.usefixtures("memory")
def test_a_png_of_400_million_pixels_in_49_kilobytes_is_refused_without_work(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = zlib.compress(bytes(1 + 2500) * 20_000, 9)
    data = with_idat(with_header(PNG, width=20_000, height=20_000, depth=1, color_type=GRAY), rows)
    assert 40_000 < len(data) < 60_000
    monkeypatch.setattr("image_intensity.formats.png.decoding.load", no_work)
    monkeypatch.setattr("image_intensity.formats.png.rows.zlib_ng.decompressobj", no_work)
    tracemalloc.reset_peak()

    assert problem_of(data) is TooManyPixels
    assert tracemalloc.get_traced_memory()[1] < MEGABYTE


@pytest.mark.parametrize("size", [(65_535, 65_535), (65_535, 1000)])
def test_a_jpeg_with_too_many_pixels_is_refused_without_work(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = size
    frame = JPEG.index(b"\xff\xc0") + 5
    data = JPEG[:frame] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + JPEG[frame + 4 :]
    monkeypatch.setattr("image_intensity.formats.jpeg.decoding.load", no_work)
    monkeypatch.setattr("image_intensity.formats.jpeg.decoding.simplejpeg.decode_jpeg", no_work)

    assert problem_of(data) is TooManyPixels


@pytest.mark.parametrize("color_type", [TRUECOLOR, INDEXED])
def test_a_png_without_a_checksum_that_can_be_reached_is_not_measured(color_type: int) -> None:
    # Damage in the middle of the data can have this effect: a chunk that is there twice, for example.
    data = random_png((24, 20), 8, color_type)
    rows = zlib.decompress(idat_of(data))

    assert intensity_of(with_rows(data, rows + bytes(SURPLUS_BYTES))) == intensity_of(data)
    assert problem_of(with_rows(data, rows + bytes(SURPLUS_BYTES + 1))) is UnsupportedFormat


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # 24 x 20 pixels in 3 x 3 blocks, or 2 x 2 of color; a coefficient is kept in two bytes, 128 in a block.
        (JPEG, 480 * 4),
        (PROGRESSIVE, 480 * 4 + (9 + 4 + 4) * 128),
        (encode(photo("RGB", (24, 20)), "JPEG", progressive=True, subsampling=0), 480 * 4 + 27 * 128),
        (encode(photo("L", (24, 20)), "JPEG"), 480),
        (encode(photo("L", (24, 20)), "JPEG", progressive=True), 480 + 9 * 128),
        (encode(noise("CMYK", (24, 20)), "JPEG"), 480 * 4),
        (encode(noise("CMYK", (24, 20)), "JPEG", progressive=True), 480 * 4 + 36 * 128),
        # Five copies of the rows, one for each filter.
        (PNG, 5 * 20 * (1 + 24 * 3)),
        # A pointer to each row.
        (random_png((24, 20), 16, TRUECOLOR), 480 * 4 + 20 * 8),
        (random_png((24, 20), 16, GRAY), 480 * 2 + 20 * 8),
        (random_png((24, 20), 1, GRAY), 480 + 20 * 8),
        (random_png((24, 20), 4, INDEXED), 480 + 20 * 8),
    ],
)
def test_the_memory_that_decoding_takes_is_told_by_the_header(
    data: bytes, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert formats.read(data, Limits())[1].decoded_bytes == expected

    assert measure(data, limits=Limits(max_decoded_bytes=expected)).pixel_count == 480
    monkeypatch.setattr("image_intensity.formats.png.decoding.load", no_work)
    monkeypatch.setattr("image_intensity.formats.jpeg.decoding.load", no_work)
    monkeypatch.setattr("image_intensity.formats.jpeg.decoding.simplejpeg.decode_jpeg", no_work)
    told = re.escape(f"24 x 20 = 480 pixels, and as it is stored, decoding takes {expected:,} bytes")
    with pytest.raises(MeasurementError, match=told) as refusal:
        measure(data, limits=Limits(max_decoded_bytes=expected - 1))
    assert refusal.type is TooManyPixels


def test_no_picture_of_the_pixels_of_an_inline_upload_takes_too_much_memory() -> None:
    for size in ((MAX_PIXELS, 1), (8000, 8000), (1, MAX_PIXELS)):
        assert png.Png(size=size, bit_depth=16, color_type=6).decoded_bytes <= Limits().max_decoded_bytes
    cmyk = Jpeg(size=(8000, 8000), frame=SOF2, sampling=[(1, 1)] * 4, scans=[(0, 1, 2, 3)])
    assert cmyk.decoded_bytes == 12 * MAX_PIXELS <= Limits().max_decoded_bytes
    # A baseline JPEG with a scan for each component: libjpeg keeps its coefficients, too.
    cmyk.frame, cmyk.scans = SOF0, [(0,), (1,), (2,), (3,)]
    assert cmyk.decoded_bytes == 12 * MAX_PIXELS


def test_transparencies_beyond_the_palette_are_passed_over() -> None:
    data = with_chunks(INDEXED_PNG, Chunk(b"tRNS", bytes(MEGABYTE)))
    assert len(png.read(data).transparency()) == 256
    assert intensity_of(data) == intensity_of(INDEXED_PNG)


def test_a_png_with_rows_too_long_for_pillow_is_unsupported() -> None:
    # 2 thousand million bits; with Pillow it would be a MemoryError.
    longest, row = (2**31 - 1 - 7 * 64) // 64, b"\0" + bytes(8 * 24)
    deep = encode_png(random_samples((24, 1), 16, TRUECOLOR_ALPHA), 16, TRUECOLOR_ALPHA)
    assert problem_of(with_rows(with_header(deep, width=longest), row)) is CorruptImage
    assert problem_of(with_rows(with_header(deep, width=longest + 1), row)) is UnsupportedFormat
