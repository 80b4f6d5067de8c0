"""TIFFs that are damaged, or of a kind that is not measured, are refused, and the sentence says why."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_intensity import Limits, MeasurementError, measure
from tests.core import tiffs
from tests.core.images import encode, photo
from tests.core.samples import refusal
from tests.core.tiffs import BLACK_IS_ZERO, DEFLATE, JPEG, NONE, PACKBITS, RGB, described, image, tiff

SAMPLES = np.random.default_rng(3).integers(0, 256, (32, 32))
COLORS = np.random.default_rng(4).integers(0, 256, (32, 32, 4))
GRAY = described((32, 32)) | {tiffs.COMPRESSION: [NONE]}
ROWS = SAMPLES.astype(np.uint8).tobytes()
PIECES = [ROWS[:512], ROWS[512:]]
STRIPS = GRAY | {tiffs.ROWS: [16]}

KINDS = {
    "of signed numbers": image(SAMPLES, more={tiffs.FORMAT: [2]}),
    "of floating-point numbers": tiff(described((4, 4), 32) | {tiffs.FORMAT: [3]}, [bytes(64)]),
    "of 32 bits per sample": tiff(described((4, 4), 32), [bytes(64)]),
    "of 16-bit samples in planes": tiff(described((4, 4), 16, RGB, 3) | {tiffs.PLANAR: [2]}, [bytes(32)] * 3),
    "in LogLuv": tiff(GRAY | {tiffs.PHOTOMETRIC: [32845]}, [ROWS]),
    "in CIELab colors": tiff(GRAY | {tiffs.PHOTOMETRIC: [8]}, [ROWS]),
    "with old-style JPEG data": tiff(GRAY | {tiffs.COMPRESSION: [6]}, [ROWS]),
    "compressed as a fax (CCITT group 4)": tiff(GRAY | {tiffs.COMPRESSION: [4]}, [ROWS]),
    "compressed with Zstandard": tiff(GRAY | {tiffs.COMPRESSION: [50000]}, [ROWS]),
    "of an unknown compression": tiff(GRAY | {tiffs.COMPRESSION: [999]}, [ROWS]),
    "with associated alpha": image(COLORS, 8, RGB, more={tiffs.EXTRA: [1]}),
    "with further samples": image(COLORS, 8, RGB, more={tiffs.EXTRA: [7]}),
    "with samples of different depths": tiff(described((32, 32), 8, RGB, 3) | {tiffs.BITS: [8, 8, 16]}, [bytes(4096)]),
    "with its bits in reversed order": image(SAMPLES, more={266: [2]}),
    "with missing strips or tiles": tiff(STRIPS, [PIECES[0], b""]),
    "whose first page is a thumbnail": image(SAMPLES, more={254: [1]}),
    "whose first page is a transparency mask": image(SAMPLES, more={254: [4]}),
    "in YCbCr colors without JPEG": image(COLORS[..., :3], 8, tiffs.YCBCR),
    "of other inks than CMYK": image(COLORS, 8, tiffs.CMYK, more={332: [2]}),
    "with a palette of 8-bit values": image(SAMPLES, 8, tiffs.INDEXED, more={tiffs.PALETTE: [*range(256)] * 3}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_is_not_measured_is_named(kind: str) -> None:
    sentence = refusal(KINDS[kind])
    assert sentence.startswith(f"unsupported_format: This is a TIFF {kind}")
    assert sentence.endswith(".")
    assert " Save it " in sentence or " Convert it " in sentence or " Save the " in sentence


DEFLATED = zlib.compress(ROWS)
DAMAGED = {
    "its size is missing": tiff({tag: values for tag, values in GRAY.items() if tag != tiffs.WIDTH}, [ROWS]),
    "no height": tiff(GRAY | {tiffs.HEIGHT: [0]}, [ROWS]),
    "a strip is missing": tiff(STRIPS, PIECES[:1]),
    "a strip more": tiff(STRIPS, [*PIECES, ROWS]),
    "a strip too short": tiff(STRIPS, [PIECES[0], PIECES[1][:-1]]),
    "cut": tiff(GRAY, [ROWS])[:-1],
    "the directory is cut": tiff(GRAY, [ROWS])[:40],
    "cut, deflate": tiff(GRAY | {tiffs.COMPRESSION: [DEFLATE]}, [DEFLATED[:-1]]),
    "a wrong checksum": tiff(GRAY | {tiffs.COMPRESSION: [DEFLATE]}, [DEFLATED[:-4] + bytes(4)]),
    "rows missing, deflate": tiff(GRAY | {tiffs.COMPRESSION: [DEFLATE]}, [zlib.compress(ROWS[:-1])]),
    "rows more, deflate": tiff(GRAY | {tiffs.COMPRESSION: [DEFLATE]}, [zlib.compress(ROWS + b"\0")]),
    "cut, PackBits": tiff(GRAY | {tiffs.COMPRESSION: [PACKBITS]}, [tiffs.packbits(ROWS)[:-1]]),
    "rows more, PackBits": tiff(GRAY | {tiffs.COMPRESSION: [PACKBITS]}, [tiffs.packbits(ROWS + ROWS)]),
    "cut, LZW": tiff(GRAY | {tiffs.COMPRESSION: [tiffs.LZW]}, [b"\x80\x00\x20"]),
    "no JPEG": tiff(GRAY | {tiffs.COMPRESSION: [JPEG]}, [ROWS]),
    "samples nobody describes": image(COLORS, 8, RGB),
    "no palette": image(SAMPLES, 8, tiffs.INDEXED),
    "a page that is not there": tiff(GRAY, [ROWS], following=999_999),
    "pages in a circle": tiff(GRAY, [ROWS], following=8),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_refused(damage: str) -> None:
    assert refusal(DAMAGED[damage]).startswith("corrupt_image: This TIFF")


def swapped(data: bytes) -> bytes:
    return data[:10] + data[22:34] + data[10:22] + data[34:]


def overlapping() -> bytes:
    data = tiff(STRIPS, PIECES)
    places = struct.pack("<2I", len(data) - 1024, len(data) - 512)
    return data.replace(places, places[:4] * 2)


def test_tags_out_of_order_and_overlapping_strips_are_refused() -> None:
    assert "its tags are out of order" in refusal(swapped(tiff(GRAY, [ROWS])))
    assert "overlap" in refusal(overlapping())


def jpeg_tags(size: tuple[int, int] = (64, 32)) -> dict[int, list[int]]:
    return described(size, 8, tiffs.YCBCR, 3) | {tiffs.COMPRESSION: [JPEG]}


def test_a_damaged_jpeg_strip_gives_no_number() -> None:
    """libtiff hands on what libjpeg makes of the rest, with a warning that Pillow does not pass on."""
    whole = encode(photo("RGB", (64, 32)), "JPEG", quality=90)
    assert refusal(tiff(jpeg_tags(), [whole])) == ""
    cut = whole[: len(whole) * 3 // 4] + b"\xff\xd9"
    with Image.open(io.BytesIO(tiff(jpeg_tags(), [cut]))) as picture:
        picture.load()
    assert refusal(tiff(jpeg_tags(), [cut])).startswith("corrupt_image: This JPEG is damaged")


def test_a_jpeg_strip_that_contradicts_the_page_is_refused() -> None:
    whole = encode(photo("RGB", (64, 32)), "JPEG", quality=90)
    assert "another size" in refusal(tiff(jpeg_tags((64, 40)), [whole]))
    assert "colors" in refusal(tiff(jpeg_tags() | {tiffs.PHOTOMETRIC: [RGB]}, [whole]))
    assert "colors" in refusal(tiff(jpeg_tags(), [encode(photo("L", (64, 32)), "JPEG")]))


@pytest.mark.parametrize("compression", [NONE, DEFLATE, PACKBITS])
def test_no_cut_file_is_measured(compression: int) -> None:
    data = image(SAMPLES, compression=compression, rows=8)
    for length in range(4, len(data), 7):
        assert refusal(data[:length]).startswith("corrupt_image"), length


def test_no_change_of_a_byte_is_an_error_of_ours() -> None:
    """Whatever a header says, the answer is a number or a sentence."""
    data = image(SAMPLES, compression=DEFLATE, rows=8)
    limits = Limits(formats=("TIFF",), max_pixels=1_000_000)
    for place in range(4, 250):
        for value in (0, 1, 127, 128, 255):
            changed = data[:place] + bytes([value]) + data[place + 1 :]
            try:
                measure(changed, limits=limits)
            except MeasurementError as error:
                assert str(error).endswith("."), place  # noqa: PT017 - it may also be measured


HOSTILE = {
    "a million rows in strips of their own": tiff(
        described((1, 1_000_000)) | {tiffs.ROWS: [1]}, [b"a"] * 1000 + [b""] * 999_000
    ),
    "a picture of 4 billion columns": tiff(described((2**32 - 1, 1)), [b"a"]),
    "tiles far larger than the picture": tiff(
        described((1, 100_000)) | {tiffs.TILE_WIDTH: [4096], tiffs.TILE_HEIGHT: [16]}, [b"a"] * 6250
    ),
    "one tile that takes more memory than there is": tiff(
        described((1, 1)) | {tiffs.TILE_WIDTH: [2**28], tiffs.TILE_HEIGHT: [2**28]}, [b"a"]
    ),
    "too many small tiles of JPEG": tiff(
        described((2400, 2400)) | {tiffs.COMPRESSION: [JPEG], tiffs.TILE_WIDTH: [16], tiffs.TILE_HEIGHT: [16]},
        [b"a"] * 22_500,
    ),
    "more tags than fit": tiff(GRAY, [ROWS])[:8] + b"\xff\xff" + tiff(GRAY, [ROWS])[10:],
    "empty blocks of deflate": tiff(
        described((32, 32)) | {tiffs.COMPRESSION: [DEFLATE]},
        [b"\x78\x01" + b"\0\0\0\xff\xff" * 100_000 + b"\1\0\0\xff\xff"],
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_at_once(kind: str) -> None:
    begun = time.perf_counter()
    assert refusal(HOSTILE[kind])
    assert time.perf_counter() - begun < 1


def test_a_bomb_is_bounded_by_its_header() -> None:
    """No more is inflated than the rows of the page."""
    bomb = tiff(described((30_000, 30_000)) | {tiffs.COMPRESSION: [DEFLATE]}, [b"x" * 100])
    assert refusal(bomb).startswith("too_many_pixels")
    more = tiff(GRAY | {tiffs.COMPRESSION: [DEFLATE]}, [zlib.compress(bytes(100_000_000))])
    begun = time.perf_counter()
    assert refusal(more)
    assert time.perf_counter() - begun < 1


def test_many_pages_are_counted_in_time() -> None:
    """Pillow takes more than 40 s to count 100,000 pages."""
    page = tiff(GRAY, [ROWS])
    one = struct.pack("<HHHII", 1, 256, 3, 1, 1)
    size, start = len(one) + 4, len(page)
    count = 100_000
    pages = b"".join(one + struct.pack("<I", start + (index + 1) * size) for index in range(count))
    data = tiff(GRAY, [ROWS], following=start) + pages
    begun = time.perf_counter()
    assert "more than 100,000 pages" in refusal(data + bytes(size))
    assert time.perf_counter() - begun < 2


def test_tifffile_reads_the_sound_ones() -> None:
    """The files of these tests are TIFFs for others too."""
    for compression in (NONE, DEFLATE):
        data = image(SAMPLES, compression=compression, rows=8)
        np.testing.assert_array_equal(tifffile.imread(io.BytesIO(data)), SAMPLES)
    assert refusal(image(SAMPLES, 8, BLACK_IS_ZERO)) == ""
