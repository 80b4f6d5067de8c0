"""A damaged PNG is refused, and damage that no pixel depends on is not."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image
from zlib_ng import zlib_ng

from image_intensity import CorruptImage, UnsupportedFormat
from tests.core.images import (
    GRAY,
    INDEXED,
    PNG_SIGNATURE,
    TRUECOLOR,
    TRUECOLOR_ALPHA,
    Chunk,
    encode,
    encode_png,
    filtered_rows,
    idat_of,
    noise,
    random_png,
    random_samples,
    read_chunks,
    with_chunks,
    with_header,
    with_idat,
    with_rows,
    write_chunks,
)
from tests.core.samples import intensity_of, problem_of

RGB = random_png((24, 20), 8, TRUECOLOR)
BOMB = zlib_ng.compress(bytes(1 << 27), 9)
INDEXED_PNG = random_png((24, 20), 4, INDEXED)
IEND = Chunk(b"IEND", b"")


@pytest.mark.parametrize("data", [RGB, INDEXED_PNG, random_png((9, 7), 16, GRAY, interlaced=True)], ids=len)
def test_a_png_cut_anywhere_is_corrupt(data: bytes) -> None:
    # Behind the signature. Damage to the signature itself makes another format of it.
    survivors = [end for end in range(8, len(data)) if problem_of(data[:end]) is not CorruptImage]

    assert survivors == []


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("lost", [1, 2, 7, 30, 10_000])
def test_a_png_that_lacks_rows_is_corrupt_though_its_stream_ends_validly(
    lost: int, depth: int, *, interlaced: bool
) -> None:
    samples = random_samples((24, 20), depth, GRAY)
    whole = encode_png(samples, depth, GRAY, interlaced=interlaced)
    rows = filtered_rows(samples, depth, interlaced=interlaced)

    assert problem_of(with_rows(whole, rows[:-lost])) is CorruptImage
    assert intensity_of(with_rows(whole, rows)) == intensity_of(whole)


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_large_png_that_lacks_one_byte_is_corrupt(*, interlaced: bool) -> None:
    samples = np.zeros((700, 900, 1), dtype=np.uint16)
    rows = filtered_rows(samples, 8, interlaced=interlaced)
    whole = encode_png(samples, 8, GRAY, interlaced=interlaced)

    assert problem_of(with_rows(whole, rows[:-1])) is CorruptImage
    assert intensity_of(with_rows(whole, rows)) == 0.0


def test_a_zlib_stream_cut_at_any_byte_of_its_rows_is_corrupt() -> None:
    stream = idat_of(RGB)
    survivors = [end for end in range(len(stream)) if problem_of(with_idat(RGB, stream[:end])) is not CorruptImage]

    assert survivors == []


@pytest.mark.parametrize("color_type", [GRAY, TRUECOLOR, TRUECOLOR_ALPHA, INDEXED])
def test_a_zlib_stream_without_an_end_is_corrupt(color_type: int) -> None:
    data = random_png((24, 20), 8, color_type)
    rows = zlib.decompress(idat_of(data))
    compressor = zlib.compressobj()
    endless = compressor.compress(rows) + compressor.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.adler32(rows).to_bytes(4, "big")

    assert intensity_of(with_idat(data, endless + b"\1\0\0\xff\xff" + checksum)) == intensity_of(data)
    for behind in (b"", checksum, b"\1\0\0\xff\xff", b"\1\0\0\xff\xff" + checksum[:2], b"\0\0\0\xff\xff" + checksum):
        assert problem_of(with_idat(data, endless + behind)) is CorruptImage


@pytest.mark.parametrize("color_type", [GRAY, INDEXED])
@pytest.mark.parametrize("surplus", [1, 1000, 500_000])
def test_rows_with_more_behind_them_have_a_checksum_too(color_type: int, surplus: int) -> None:
    data = random_png((24, 20), 8, color_type)
    more = with_rows(data, zlib.decompress(idat_of(data)) + bytes(surplus))
    stream = idat_of(more)

    assert intensity_of(more) == intensity_of(data)
    assert problem_of(with_idat(data, stream[:-1] + bytes([stream[-1] ^ 1]))) is CorruptImage
    assert problem_of(with_idat(data, stream[:-1])) is CorruptImage


@pytest.mark.parametrize("header", [b"\x88\x1c", b"\xf8\x01", b"\x77\x04", b"\x78\x02", b"\x78\xbb"], ids=bytes.hex)
def test_a_zlib_header_that_does_not_exist_is_corrupt(header: bytes) -> None:
    # A window of more than 32 KB, twice; another method; a wrong check; a missing dictionary.
    assert problem_of(with_idat(RGB, header + idat_of(RGB)[2:])) is CorruptImage


@pytest.mark.parametrize("header", [b"\x08\x1d", b"\x78\x01", b"\x78\xda"], ids=bytes.hex)
def test_a_zlib_header_may_say_anything_of_window_and_level(header: bytes) -> None:
    assert intensity_of(with_idat(RGB, header + idat_of(RGB)[2:])) == intensity_of(RGB)


@pytest.mark.parametrize("color_type", [GRAY, TRUECOLOR, TRUECOLOR_ALPHA, INDEXED])
@pytest.mark.parametrize("size", [(24, 20), (300, 300)], ids=str)
@pytest.mark.parametrize("last", [1, 4, 5])
def test_rows_with_a_wrong_checksum_are_corrupt_wherever_it_is(
    color_type: int, size: tuple[int, int], last: int
) -> None:
    data = random_png(size, 8, color_type)
    stream = idat_of(data)
    wrong = stream[:-1] + bytes([stream[-1] ^ 1])

    assert problem_of(with_idat(data, wrong)) is CorruptImage
    assert problem_of(with_idat(data, wrong[:-last], wrong[-last:])) is CorruptImage
    assert intensity_of(with_idat(data, stream[:-last], stream[-last:])) == intensity_of(data)


@pytest.mark.parametrize("data", [RGB, INDEXED_PNG], ids=["RGB", "P"])
@pytest.mark.parametrize("bit", range(8))
def test_one_flipped_bit_anywhere_in_a_png_is_noticed(data: bytes, bit: int) -> None:
    unnoticed = []
    for place in range(len(PNG_SIGNATURE), len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << bit
        # For an unknown chunk type, this may be the message instead.
        if problem_of(bytes(damaged)) not in {CorruptImage, UnsupportedFormat}:
            unnoticed.append(place)

    assert unnoticed == []


HEADER, PALETTE, IDAT, END = read_chunks(INDEXED_PNG)
HALVES = Chunk(b"IDAT", IDAT.content[:40]), Chunk(b"IDAT", IDAT.content[40:])
CRITICAL = {chunk.kind: chunk for chunk in (HEADER, PALETTE, IDAT, END)}
HEADERS: list[dict[str, int]] = [
    *({"width": 0}, {"height": 0}, {"width": 25}, {"height": 21}, {"depth": 0}, {"depth": 3}, {"depth": 4}),
    *({"color_type": 1}, {"color_type": 5}, {"color_type": 7}, {"compression": 1}, {"filter": 1}, {"interlace": 2}),
]
BROKEN = {
    **{f"{kind!r} missing": [each for each in CRITICAL.values() if each.kind != kind] for kind in CRITICAL},
    "palette behind the data": [HEADER, IDAT, PALETTE, END],
    **{f"palette {content!r}": [HEADER, Chunk(b"PLTE", content), IDAT, END] for content in (b"", b"\1\2", b"\1\2\3\4")},
    "palette of 257 colors": [HEADER, Chunk(b"PLTE", bytes(3 * 257)), IDAT, END],
    "text in the data": [HEADER, PALETTE, HALVES[0], Chunk(b"tEXt", b"Title\0between"), HALVES[1], END],
    "palette in the data": [HEADER, PALETTE, HALVES[0], PALETTE, HALVES[1], END],
    "two headers": [HEADER, PALETTE, HEADER, IDAT, END],
    "two palettes": [HEADER, PALETTE, PALETTE, IDAT, END],
    "the last of many checksums": [HEADER, PALETTE, HALVES[0], HALVES[1]._replace(checksum=0), END],
    **{
        f"header {content!r}": [Chunk(b"IHDR", content), PALETTE, IDAT, END]
        for content in (b"", b"\0" * 12, b"\0\0\0\1\0\0\0\1\x08\0\0\0\0\0")
    },
    **{f"header {fields}": read_chunks(with_header(RGB, **fields)) for fields in HEADERS},
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_structure_is_corrupt(damage: str) -> None:
    assert problem_of(write_chunks(BROKEN[damage])) is CorruptImage


def test_the_files_that_are_broken_here_are_whole() -> None:
    assert with_header(RGB) == RGB
    assert intensity_of(write_chunks([HEADER, PALETTE, *HALVES, END])) == intensity_of(INDEXED_PNG)


@pytest.mark.parametrize("kind", CRITICAL)
def test_a_critical_chunk_with_one_bit_flipped_is_missed_or_has_a_wrong_checksum(kind: bytes) -> None:
    # Its checksum is left as it was. The bit makes the chunk an ancillary one.
    damaged = INDEXED_PNG.replace(kind, bytes([kind[0] ^ 0x20]) + kind[1:])
    assert damaged != INDEXED_PNG
    assert problem_of(damaged) is CorruptImage

    wrong = zlib.crc32(kind + CRITICAL[kind].content) ^ 1
    chunks = [chunk._replace(checksum=wrong) if chunk.kind == kind else chunk for chunk in read_chunks(INDEXED_PNG)]
    assert problem_of(write_chunks(chunks)) is CorruptImage


def test_a_row_with_an_unknown_filter_is_corrupt() -> None:
    rows = bytearray(filtered_rows(random_samples((24, 20), 8, TRUECOLOR), 8))
    rows[0] = 5

    assert problem_of(with_rows(RGB, bytes(rows))) is CorruptImage


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_with_a_png_signature_are_corrupt(seed: int) -> None:
    noise_bytes = np.random.default_rng(seed).bytes(5000)

    assert problem_of(PNG_SIGNATURE + noise_bytes[: 250 * seed]) is CorruptImage


@pytest.mark.parametrize("behind", [b"\0", b"trailing text", RGB, b"\xff\xd8\xff", bytes(100_000)], ids=len)
def test_bytes_behind_the_end_of_a_png_are_passed_over(behind: bytes) -> None:
    assert intensity_of(RGB + behind) == intensity_of(RGB)


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(b"tEXt", b"Comment\0damaged", checksum=0),
        Chunk(b"tEXt", b""),
        Chunk(b"zTXt", b"Comment\0\0" + BOMB),
        Chunk(b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
        Chunk(b"iTXt", b"\xff"),
        Chunk(b"iCCP", b"profile\0\0" + BOMB),
        Chunk(b"iCCP", b"profile\0\7"),
        Chunk(b"iCCP", b"profile\0\0not zlib"),
        Chunk(b"tRNS", b""),
        Chunk(b"gAMA", b"\0"),
        Chunk(b"cHRM", b"\0\0\0"),
        Chunk(b"pHYs", b"\0"),
        Chunk(b"sRGB", b""),
        Chunk(b"eXIf", b"garbage"),
        Chunk(b"acTL", b"\0"),
        Chunk(b"acTL", b"\xff" * 8),
        Chunk(b"fcTL", b"\xff" * 26),
        Chunk(b"fdAT", b"\0\0\0\1garbage"),
        Chunk(b"abCd", b"private", checksum=1),
    ],
    ids=lambda chunk: f"{chunk.kind.decode()}, {len(chunk.content)} bytes",
)
def test_an_ancillary_chunk_cannot_trip_the_decoder(chunk: Chunk) -> None:
    before, after = with_chunks(RGB, chunk), with_chunks(RGB, chunk, before=b"IEND")

    assert intensity_of(before) == intensity_of(after) == intensity_of(RGB)


def test_many_compressed_texts_cannot_exhaust_the_decoder() -> None:
    # Pillow gives up at 64 MB of text in all.
    text = Chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20)))

    assert intensity_of(with_chunks(RGB, *[text] * 80)) == intensity_of(RGB)


def test_data_in_many_chunks_some_of_them_empty_is_whole() -> None:
    stream = idat_of(RGB)
    pieces = [b"", *(stream[place : place + 3] for place in range(0, len(stream), 3)), b""]

    assert intensity_of(with_idat(RGB, *pieces)) == intensity_of(RGB)


def test_a_palette_that_only_suggests_colors_changes_nothing() -> None:
    assert intensity_of(with_chunks(RGB, Chunk(b"PLTE", bytes(range(30))))) == intensity_of(RGB)


def test_a_gray_image_without_compression_is_whole() -> None:
    image = noise("L", (40, 30))

    assert intensity_of(encode(image, "PNG", compress_level=0)) == intensity_of(encode(image, "PNG", compress_level=9))


def test_an_animation_that_ends_early_still_has_its_first_frame() -> None:
    frames = [Image.new("L", (24, 16), gray) for gray in (10, 90, 200)]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    chunks = [chunk for chunk in read_chunks(data) if chunk.kind != b"fdAT"]
    assert len(chunks) == len(read_chunks(data)) - 2

    assert intensity_of(write_chunks(chunks)) == 10.0
    assert chunks[-1] == IEND
