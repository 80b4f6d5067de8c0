"""A damaged JPEG is refused where the damage can be told, and what no pixel depends on is passed over."""

from __future__ import annotations

import io
import re
import struct
import time
from base64 import b64decode
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import simplejpeg
from PIL import ExifTags, Image

from image_intensity import CorruptImage, MeasurementError, UnsupportedFormat
from tests.core.images import (
    APP0,
    APP1,
    APP2,
    APP14,
    COM,
    DHT,
    DQT,
    DRI,
    EOI,
    SOF0,
    SOF2,
    SOI,
    SOS,
    Segment,
    encode,
    expected,
    mpo,
    noise,
    photo,
    read_segments,
    scans,
    with_sampling,
    with_scan,
    with_segments,
    write_segments,
    ycck,
)
from tests.core.samples import intensity_of, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable

# Files for every decoding routine of libjpeg, and for both of our own checks.
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "gray": ("L", {}),
    "baseline": ("RGB", {}),
    "baseline, 4:4:4": ("RGB", {"subsampling": "4:4:4"}),
    "restart intervals": ("RGB", {"restart_marker_blocks": 2}),
    "optimized": ("RGB", {"optimize": True}),
    "progressive": ("RGB", {"progressive": True}),
    "CMYK": ("CMYK", {"subsampling": "4:4:4"}),
    "CMYK, subsampled": ("CMYK", {"subsampling": "4:2:0"}),
    "CMYK, subsampled, progressive": ("CMYK", {"subsampling": "4:2:0", "progressive": True}),
    "CMYK, subsampled, restart intervals": ("CMYK", {"subsampling": "4:2:0", "restart_marker_blocks": 2}),
}
WHOLE = {name: encode(photo(mode, (80, 56)), "JPEG", **options) for name, (mode, options) in OPTIONS.items()}
# Samplings that `simplejpeg` does not take.
WHOLE |= {
    "4x2": with_sampling((80, 56), [0x42, 0x11, 0x11]),
    "subsampled luma": with_sampling((80, 56), [0x11, 0x22, 0x22]),
    "three samplings": with_sampling((80, 56), [0x22, 0x21, 0x12]),
}
BASELINE, PROGRESSIVE = WHOLE["baseline"], WHOLE["progressive"]
WITH_RESTARTS = ["restart intervals", "CMYK, subsampled, restart intervals"]
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
# A marker inside coded data: a decoder takes 0xFF for one if anything but 0x00 follows.
STUFFED = re.compile(rb"\xff\x00")
# libjpeg reads up to seven bytes ahead, and does not report those that it has not used.
SURPLUS = b"\x12\x34\x56" * 3


def intervals(data: bytes) -> list[bytes]:
    """Return the restart intervals of the first scan, each but the first with its marker."""
    scan = scans(data)[0]
    starts = [0, *(found.start() for found in RESTART.finditer(scan)), len(scan)]
    return [scan[start:end] for start, end in pairwise(starts)]


def with_ones(data: bytes, place: int) -> bytes:
    """Return the JPEG file with a code in its first scan that no Huffman table has: of only ones (T.81, C.2)."""
    scan = scans(data)[0]
    return with_scan(data, scan[:place].removesuffix(b"\xff") + b"\xff\0" * 12 + scan[place:].removeprefix(b"\0"))


def with_replaced(data: bytes, marker: int, content: bytes) -> bytes:
    segments = read_segments(data)
    return write_segments(each._replace(content=content) if each.marker == marker else each for each in segments)


def without(data: bytes, marker: int) -> bytes:
    return write_segments(segment for segment in read_segments(data) if segment.marker != marker)


@pytest.mark.parametrize("name", WHOLE)
def test_a_jpeg_cut_anywhere_is_corrupt(name: str) -> None:
    data = WHOLE[name]
    survivors = [end for end in range(3, len(data)) if problem_of(data[:end]) is not CorruptImage]

    assert survivors == []


@pytest.mark.parametrize("name", WHOLE)
def test_a_jpeg_cut_in_its_coded_data_and_closed_again_is_corrupt(name: str) -> None:
    data = WHOLE[name]
    start = read_segments(data)[-2].scan
    first = len(data) - 2 - len(start)
    # With 0xFF at its end, the data would turn EOI into another marker.
    ends = [end for end in range(first, len(data) - 2) if data[end - 1] != 0xFF]
    assert len(ends) > 20

    survivors = [end for end in ends[:: max(len(ends) // 60, 1)] + ends[-5:] if is_measured(data[:end] + b"\xff\xd9")]

    assert survivors == []


def is_measured(data: bytes) -> bool:
    """Tell whether there is a number for `data`; if not it must be called corrupt."""
    try:
        intensity_of(data)
    except Exception:  # noqa: BLE001 - looked at next
        assert problem_of(data) is CorruptImage
        return False
    return True


@pytest.mark.parametrize(
    "sampling", [[0x42, 0x11, 0x11], [0x11, 0x22, 0x22], [0x31, 0x11, 0x11], [0x22, 0x11, 0x11, 0x11]]
)
@pytest.mark.parametrize("size", [(80, 56), (67, 45), (1, 1)])
def test_unusual_samplings_are_measured_as_pillow_has_them(size: tuple[int, int], sampling: list[int]) -> None:
    data = with_sampling(size, sampling)
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg(data, "RGB" if len(sampling) == 3 else "CMYK")

    assert intensity_of(data) == expected(data)


def test_turbojpeg_refuses_subsampled_cmyk_so_that_the_other_way_of_checking_is_tested_too() -> None:
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg(WHOLE["CMYK, subsampled"], "CMYK")


@pytest.mark.parametrize(
    ("name", "place", "bit"),
    [
        # The data ends early. What is missing is darker than black, so that no padding changes a pixel.
        ("CMYK, subsampled", 574, 4),
        # Codes that do not exist, in the scan of all components.
        ("CMYK, subsampled, progressive", 42, 4),
        ("CMYK, subsampled, progressive", 61, 4),
    ],
)
def test_a_flipped_bit_of_subsampled_cmyk_that_decoders_warn_of_is_corrupt(name: str, place: int, bit: int) -> None:
    scan = bytearray(scans(WHOLE[name])[0])
    scan[place] ^= 1 << bit

    assert problem_of(with_scan(WHOLE[name], bytes(scan))) is CorruptImage


@pytest.mark.parametrize("sampling", [[0x22, 0x11, 0x11, 0x11], [0x11, 0x22, 0x11, 0x12], [0x41, 0x11, 0x21, 0x11]])
@pytest.mark.parametrize("other", [False, True], ids=["equal tables", "another table"])
def test_cmyk_with_any_sampling_and_tables_is_measured(sampling: list[int], *, other: bool) -> None:
    data = with_sampling((83, 61), sampling)
    # The last component has a table of its own: equal, or with one code more, which is not used.
    lengths = bytes([0, 0, 0, 11, int(other), *[0] * 11])
    table = Segment(DHT, bytes([1]) + lengths + bytes([*range(11 + other)]))
    segments = read_segments(with_segments(data, table, at=2))
    scan = segments[-2].content or b""
    segments[-2] = segments[-2]._replace(content=scan[:8] + b"\x10" + scan[9:])

    assert intensity_of(write_segments(segments)) == expected(data)


@pytest.mark.parametrize("name", WHOLE)
def test_a_jpeg_with_too_little_or_too_much_data_in_any_of_its_scans_is_corrupt(name: str) -> None:
    data = WHOLE[name]
    for number, scan in enumerate(scans(data)):
        for changed in (*(scan[:-lost].removesuffix(b"\xff") for lost in (1, 2, 5)), scan + SURPLUS):
            assert problem_of(with_scan(data, changed, number)) is CorruptImage


@pytest.mark.parametrize("name", ["progressive", "CMYK, subsampled, progressive"])
def test_a_progressive_jpeg_that_lacks_any_scan_is_corrupt(name: str) -> None:
    segments = read_segments(WHOLE[name])
    places = [index for index, segment in enumerate(segments) if segment.marker == SOS]
    assert len(places) >= 6

    for place in places:
        assert problem_of(write_segments([*segments[:place], *segments[place + 1 :]])) is CorruptImage


# Of the restart intervals: what becomes of one and those behind it.
DAMAGED: dict[str, Callable[[bytes, bytes], bytes]] = {
    "short": lambda part, rest: part[: len(part) // 2].removesuffix(b"\xff") + rest,
    "missing": lambda _, rest: rest,
    "hidden by its first byte": lambda part, rest: b"\x7f" + part[1:] + rest,
    "hidden by its second byte": lambda part, rest: part[:1] + b"\0" + part[2:] + rest,
    "too long": lambda part, rest: part + SURPLUS + rest,
}
UNKNOWN_VERSION = Segment(APP0, b"JFIF\0\3\1\0\0\1\0\1\0\0")


@pytest.mark.parametrize("before", [(), (UNKNOWN_VERSION,)], ids=["known version", "unknown version"])
@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("name", WITH_RESTARTS)
def test_a_damaged_restart_interval_is_corrupt(name: str, kind: str, before: tuple[Segment, ...]) -> None:
    # libjpeg warns of an unknown version of JFIF before all other warnings.
    data = with_segments(WHOLE[name], *before)
    parts = intervals(data)
    assert len(parts) > 8
    assert intensity_of(with_scan(data, b"".join(parts))) == intensity_of(WHOLE[name])

    if kind == "too long" and "CMYK" in name:
        return
    # The first one has no marker.
    for number in range(kind.startswith("hidden"), len(parts)):
        damaged = DAMAGED[kind](parts[number], b"".join(parts[number + 1 :]))
        assert problem_of(with_scan(data, b"".join(parts[:number]) + damaged)) is CorruptImage


@pytest.mark.parametrize("name", WITH_RESTARTS)
def test_a_misplaced_restart_interval_is_corrupt(name: str) -> None:
    parts = intervals(WHOLE[name])
    parts[2:4] = parts[3], parts[2]

    assert problem_of(with_scan(WHOLE[name], b"".join(parts))) is CorruptImage


def test_restart_intervals_that_were_announced_and_are_not_there_are_corrupt() -> None:
    scan = next(index for index, segment in enumerate(read_segments(BASELINE)) if segment.marker == SOS)

    assert problem_of(with_segments(BASELINE, Segment(DRI, b"\0\1"), at=scan)) is CorruptImage
    # A scan that is never complete needs no marker.
    assert intensity_of(with_segments(BASELINE, Segment(DRI, b"\xff\xff"), at=scan)) == intensity_of(BASELINE)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    "markers", [b"\xff\xd0", b"\xff\xd7", b"\xff\xd3\xff\xff\xd3", b"\xff\xd0\xff\xd1" * 100], ids=len
)
def test_restart_markers_behind_the_last_interval_are_passed_over(name: str, markers: bytes) -> None:
    data = WHOLE[name]

    for number, scan in enumerate(scans(data)):
        assert intensity_of(with_scan(data, scan + markers, number)) == intensity_of(data)


@pytest.mark.parametrize("second", [0x01, 0x02, 0xBF, DHT, SOF0, SOI, EOI, SOS, 0xDB, 0xDC, APP0, APP1, 0xF0, COM])
@pytest.mark.parametrize(("mode", "options"), [("RGB", {}), ("RGB", {"progressive": True}), ("CMYK", {}), ("L", {})])
def test_a_marker_that_damage_makes_inside_coded_data_is_corrupt(
    mode: str, options: dict[str, Any], second: int
) -> None:
    data = encode(noise(mode, (40, 32)), "JPEG", quality=90, **options)
    places = [found.start() for found in STUFFED.finditer(data, data.index(b"\xff\xda"))]
    assert places

    measured = [place for place in places if is_measured(data[:place] + bytes((0xFF, second)) + data[place + 2 :])]

    assert measured == []


@pytest.mark.parametrize("before", [(), (UNKNOWN_VERSION,)], ids=["known version", "unknown version"])
@pytest.mark.parametrize("name", ["gray", "baseline", "restart intervals", "progressive", "CMYK"])
def test_bad_huffman_codes_are_corrupt(name: str, before: tuple[Segment, ...]) -> None:
    data = with_segments(WHOLE[name], *before)
    assert intensity_of(data) == intensity_of(WHOLE[name])

    assert problem_of(with_ones(data, len(scans(data)[0]) // 2)) is CorruptImage


@pytest.mark.parametrize(("mode", "options"), [("L", {}), ("RGB", {}), ("RGB", {"subsampling": "4:4:4"}), ("CMYK", {})])
def test_bad_huffman_codes_are_corrupt_far_from_the_end_of_the_data(mode: str, options: dict[str, Any]) -> None:
    # If more than 512 bytes for each block follow, libjpeg-turbo decodes in a faster way, which does not warn.
    data = encode(noise(mode, (256, 256)), "JPEG", **options)
    scan = scans(data)[0]
    assert len(scan) > 30_000
    for place in (100, 5000, len(scan) // 2):
        assert problem_of(with_ones(data, place)) is CorruptImage


@pytest.mark.parametrize("name", ["baseline", "CMYK", "CMYK, subsampled"])
@pytest.mark.parametrize("transform", [3, 255])
def test_an_unknown_color_transform_is_corrupt_where_it_says_what_colors_are(name: str, transform: int) -> None:
    adobe = Segment(APP14, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    segments = [segment for segment in read_segments(WHOLE[name]) if segment.marker not in {APP0, APP14}]

    assert problem_of(write_segments([segments[0], adobe, *segments[1:]])) is CorruptImage
    # In a JFIF file, it has no meaning.
    assert intensity_of(with_segments(BASELINE, adobe)) == intensity_of(BASELINE)


def with_scan_header_end(data: bytes, end: bytes) -> bytes:
    """Return the JPEG file with another end of its first scan header, in place of the last three bytes."""
    segments = read_segments(data)
    place = [segment.marker for segment in segments].index(SOS)
    start = len(write_segments(segments[:place])) + 4 + len(segments[place].content or b"")
    return data[: start - 3] + end + data[start:]


@pytest.mark.parametrize("name", ["baseline", "CMYK", "CMYK, subsampled", "4x2"])
def test_scan_parameters_of_zeros_do_not_hide_damage(name: str) -> None:
    # A few encoders write these.
    data = with_scan_header_end(WHOLE[name], bytes(3))

    assert intensity_of(data) == intensity_of(WHOLE[name])
    assert problem_of(data[:-2] + SURPLUS + b"\xff\xd9") is CorruptImage


@pytest.mark.parametrize("name", ["gray", "baseline", "restart intervals", "CMYK", "CMYK, subsampled", "4x2"])
@pytest.mark.parametrize(
    "end",
    [
        *(b"\0\x3f\x11", b"\1\2\0", b"\0\x3f", b"\x3f\0", b"\0\0", b"\0", b"", b"\0\0\x3f\0", b"\x12\0\x3f\0"),
        *(b"\0\x3f\x12\0", b"\0\0\0\x3f\0", b"\0\0\0\0\x3f\0", b"\0\0\0\0"),
    ],
    ids=repr,
)
def test_a_scan_header_that_lost_or_gained_bytes_at_its_end_is_corrupt(name: str, end: bytes) -> None:
    assert problem_of(with_scan_header_end(WHOLE[name], end)) is CorruptImage


@pytest.mark.parametrize("name", ["gray", "baseline", "restart intervals", "progressive", "CMYK, subsampled"])
def test_after_a_byte_lost_or_added_in_a_header_there_is_no_other_number(name: str) -> None:
    data = WHOLE[name]
    end = data.index(b"\xff\xda") + 2
    end += int.from_bytes(data[end : end + 2], "big")
    damaged = [data[:place] + data[place + 1 :] for place in range(2, end)]
    damaged += [data[:place] + bytes([place & 0xFF]) + data[place:] for place in range(3, end)]
    numbers = {number for file in damaged if (number := number_of(file)) is not None}

    assert len(damaged) > 400
    assert numbers <= {intensity_of(data)}


def number_of(data: bytes) -> float | None:
    try:
        return intensity_of(data)
    except MeasurementError:
        return None


def test_a_cmyk_jpeg_that_damage_gives_another_sampling_is_corrupt() -> None:
    data = encode(photo("CMYK", (203, 151)), "JPEG", subsampling="4:4:4")
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == 0x11

    for sampling in (0x12, 0x21, 0x13, 0x22, 0x31):
        assert problem_of(data[: frame + 11] + bytes([sampling]) + data[frame + 12 :]) is CorruptImage


GRAY_JPEG = encode(photo("L", (16, 16)), "JPEG")
FRAME = BASELINE.index(b"\xff\xc0")
FRAME_HEADERS = {
    "empty": b"",
    "cut": b"\x08\0\x10\0\x10",
    "no width": b"\x08\0\x10\0\0\1\1\x11\0",
    "no components": b"\x08\0\x10\0\x10\0",
    "components cut": b"\x08\0\x10\0\x10\3\1\x11\0",
    "doubled": b"\x08\0\x10\0\x10\3\1\x11\0\1\x11\0\1\x11\0",
    "too long": b"\x08\0\x10\0\x10\1\1\x11\0\2\x11\0",
    "no sampling": b"\x08\0\x10\0\x10\1\1\x00\0",
}
SCAN_HEADERS = [b"", b"\1", b"\1\1\0", b"\2\1\0\0\x3f\0", b"\1\7\0\0\x3f\0", b"\0\0\x3f\0"]
BROKEN = {
    **{f"{name} without scans": without(WHOLE[name], SOS) for name in ("baseline", "progressive", "CMYK, subsampled")},
    "two frame headers": with_segments(BASELINE, next(each for each in read_segments(BASELINE) if each.marker == SOF0)),
    "no frame header": without(BASELINE, SOF0),
    "no quantization": without(BASELINE, DQT),
    **{f"frame header, {name}": with_replaced(GRAY_JPEG, SOF0, content) for name, content in FRAME_HEADERS.items()},
    **{f"scan header {content!r}": with_replaced(GRAY_JPEG, SOS, content) for content in SCAN_HEADERS},
    **{
        f"a segment of {length} bytes": BASELINE[: FRAME + 2] + struct.pack(">H", length) + BASELINE[FRAME + 4 :]
        for length in (0, 1, 60_000)
    },
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_structure_is_corrupt(damage: str) -> None:
    assert problem_of(BROKEN[damage]) is CorruptImage


def with_ids(data: bytes, frame_ids: bytes, scan_ids: bytes) -> bytes:
    """Return the JPEG file with other ids of its components, in its frame and in its first scan."""
    segments = read_segments(data)
    for markers, ids, start, step in (({SOF0, SOF2}, frame_ids, 6, 3), ({SOS}, scan_ids, 1, 2)):
        place = [segment.marker in markers for segment in segments].index(True)
        content = bytearray(segments[place].content or b"")
        content[start : start + step * len(ids) : step] = ids
        segments[place] = segments[place]._replace(content=bytes(content))
    return write_segments(segments)


@pytest.mark.parametrize(
    ("name", "ids"),
    [("baseline", b"\1\1\2"), ("restart intervals", b"\1\1\1"), ("CMYK", b"\1\2\1\2"), ("CMYK, subsampled", bytes(4))],
)
def test_components_with_the_same_id_are_measured_in_one_scan_of_all(name: str, ids: bytes) -> None:
    data = with_ids(WHOLE[name], ids, ids)

    assert intensity_of(data) == expected(data) == intensity_of(WHOLE[name])
    assert problem_of(with_ids(WHOLE[name], ids, bytes([*ids[:-1], 9]))) is CorruptImage
    assert problem_of(with_scan(data, scans(data)[0][:-5].rstrip(b"\xff"))) is CorruptImage


def test_components_with_the_same_id_are_corrupt_in_any_other_scan() -> None:
    assert problem_of(with_ids(PROGRESSIVE, b"\1\1\2", b"\1\1\2")) is CorruptImage
    assert problem_of(with_ids(BASELINE, b"\1\1\2", b"\1\2\1")) is CorruptImage
    assert problem_of(with_ids(BASELINE, b"\1\2\3", b"\1\1\3")) is CorruptImage


def test_a_start_marker_that_is_there_twice_is_told() -> None:
    for data in (BASELINE[:2] + BASELINE, with_segments(BASELINE, Segment(SOI), at=-2)):
        with pytest.raises(CorruptImage, match="second start marker"):
            intensity_of(data)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_with_a_jpeg_signature_are_corrupt(seed: int) -> None:
    garbage = np.random.default_rng(seed).bytes(250 * seed)

    # The second byte of a segment that does not matter, so that the reader goes on to the rest of the file.
    assert problem_of(b"\xff\xd8\xff\xe0" + garbage) is CorruptImage


def test_a_cut_jpeg_with_arithmetic_coding_is_not_measured() -> None:
    # 8 x 8, written by cjpeg -arithmetic. An arithmetic decoder reads on in zeros that the encoder may leave out (T.81,
    # D.1.8), so that libjpeg cannot tell the end of the data from its loss.
    arithmetic = b64decode(
        b"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0"
        b"Hyc5PTgyPC4zNDL/yQALCAAIAAgBAREA/8wABgAQEAX/2gAIAQEAAD8A7oj1IBOgBj3w/9k="
    )
    with Image.open(io.BytesIO(arithmetic)) as image:
        assert image.size == (8, 8)

    assert problem_of(arithmetic[:-8] + b"\xff\xd9") in {CorruptImage, UnsupportedFormat}


def test_a_long_run_of_fill_bytes_takes_no_time() -> None:
    started = time.process_time()

    assert problem_of(b"\xff\xd8" + b"\xff" * 20_000 + b"\0") is CorruptImage
    assert intensity_of(BASELINE[:-2] + b"\xff" * 20_000 + b"\xff\xd9") == intensity_of(BASELINE)

    assert time.process_time() - started < 1


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("behind", [b"\0", b"trailing text", b"\xff\xd9", BASELINE, bytes(100_000)], ids=len)
def test_bytes_behind_the_end_of_a_jpeg_are_passed_over(name: str, behind: bytes) -> None:
    assert intensity_of(WHOLE[name] + behind) == intensity_of(WHOLE[name])


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("surplus", [bytes(16), SURPLUS * 2, b"\x11" * 500, b"\xff\0" * 8, b"\xff\xd0" + SURPLUS])
def test_surplus_bytes_between_coded_data_and_end_are_corrupt(name: str, surplus: bytes) -> None:
    data = WHOLE[name]

    assert problem_of(data[:-2] + surplus + b"\xff\xd9") is CorruptImage


@pytest.mark.parametrize("name", ["baseline", "restart intervals", "progressive"])
def test_surplus_bytes_are_corrupt_in_front_of_any_marker(name: str) -> None:
    data = WHOLE[name]
    for marker in (Segment(DHT, b""), Segment(0xDC, b"\0\x38"), Segment(COM, b"comment"), Segment(APP1, b"")):
        assert intensity_of(with_segments(data, marker, at=-1)) == intensity_of(data)
        behind = write_segments([marker, Segment(EOI)])
        assert problem_of(data[:-2] + SURPLUS + behind) is CorruptImage


# TEM has no length. The first marker belongs to the signature of JPEG.
@pytest.mark.parametrize(("between", "first"), [(b"\xff\xff\xff", 1), (b"\xff\x01", 2)], ids=["fill bytes", "TEM"])
@pytest.mark.parametrize("name", WHOLE)
def test_fill_bytes_and_markers_without_content_are_passed_over(name: str, between: bytes, first: int) -> None:
    segments = read_segments(WHOLE[name])
    filled = write_segments(segments[:first]) + b"".join(between + write_segments([each]) for each in segments[first:])

    assert intensity_of(filled) == intensity_of(WHOLE[name])


@pytest.mark.parametrize("before", [Segment(COM, b"a comment"), Segment(APP0), Segment(0xED, b"Photoshop 3.0\0")])
@pytest.mark.parametrize("stray", [b"\0", b"\0\x01", b"hello", bytes(range(0x10, 0x20)), b"\xff\0\0"], ids=len)
@pytest.mark.parametrize("name", ["baseline", "progressive", "CMYK"])
def test_a_few_stray_bytes_behind_a_segment_of_an_application_are_passed_over(
    name: str, before: Segment, stray: bytes
) -> None:
    # Pillow's junk_jpeg_header.jpg has 5 behind a comment, and its photoshop-200dpi-broken.jpg 16 behind APP13.
    segment = write_segments([before._replace(content=before.content or b"")])
    data = WHOLE[name]

    assert intensity_of(data[:2] + segment + stray + data[2:]) == intensity_of(data)
    assert problem_of(data[:2] + segment + stray * 17 + data[2:]) is CorruptImage


def test_stray_bytes_in_place_of_the_segment_that_tells_the_colors_are_corrupt() -> None:
    rgb = encode(photo("RGB", (80, 56)), "JPEG", keep_rgb=True)
    for data in (ycck(WHOLE["CMYK"]), with_ids(rgb, b"\1\2\3", b"\1\2\3")):
        adobe = next(segment for segment in read_segments(data) if segment.marker == APP14)
        lost = write_segments([Segment(COM, b"")]) + bytes(15)
        whole = with_segments(data, Segment(COM, b""))
        assert intensity_of(whole[:6] + bytes(15) + whole[6:]) == intensity_of(data)
        assert problem_of(data.replace(write_segments([adobe]), lost)) is CorruptImage


@pytest.mark.parametrize("name", WHOLE)
def test_stray_bytes_behind_all_other_segments_are_corrupt(name: str) -> None:
    segments = read_segments(WHOLE[name])
    telling = [place for place, segment in enumerate(segments) if segment.marker not in {SOI, APP0, SOS, EOI}]
    assert len(telling) >= 3
    for place in telling:
        data = write_segments(segments[: place + 1]) + b"\0\x01" + write_segments(segments[place + 1 :])
        assert problem_of(data) is CorruptImage


@pytest.mark.parametrize("hidden", range(1, 20))
def test_stray_bytes_that_end_a_segment_that_another_hides_are_corrupt(hidden: int) -> None:
    # Without it, the color transform or the restart interval would be another one.
    adobe = ycck(WHOLE["CMYK"])
    for whole, marker in ((adobe, APP14), (WHOLE["restart intervals"], DRI)):
        segments = read_segments(whole)
        lost = next(segment for segment in segments if segment.marker == marker)
        others = [segment for segment in segments[1:] if segment is not lost]
        longer = b"\xff\xe1" + (7 + hidden).to_bytes(2, "big") + b"Exif\0"
        data = b"\xff\xd8" + longer + write_segments([lost, *others])
        if hidden < len(write_segments([lost])):
            assert problem_of(data) is CorruptImage


@pytest.mark.parametrize("name", ["baseline", "progressive", "restart intervals", "YCCK"])
def test_a_segment_that_changes_pixels_and_lacks_a_byte_of_its_marker_is_corrupt(name: str) -> None:
    whole = ycck(WHOLE["CMYK"]) if name == "YCCK" else WHOLE[name]
    # The first segment has its first byte in the signature of JPEG.
    data = with_segments(whole, Segment(COM, b""))
    segments = read_segments(data)
    places = [place for place, segment in enumerate(segments) if segment.marker in {APP0, APP14, DQT, DHT, DRI}]
    assert len(places) > 3

    for place in places:
        start = len(write_segments(segments[:place]))
        marker, rest = data[start : start + 2], data[start + 2 :]
        replaced = [bytes([byte]) + marker[1:] for byte in (0x00, 0x7F, 0xFE)]
        for damaged in (*replaced, marker[:1] + b"\0", marker[:1], marker[1:], b""):
            assert problem_of(data[:start] + damaged + rest) is CorruptImage


@pytest.mark.parametrize("length", [2, 6, 10, 12])
def test_an_adobe_segment_that_is_longer_than_it_says_is_corrupt(length: int) -> None:
    # Without this segment, the picture would be CMYK.
    data = ycck(WHOLE["CMYK"])
    place = data.index(b"Adobe") - 2

    assert problem_of(data[:place] + length.to_bytes(2, "big") + data[place + 2 :]) is CorruptImage


EXIF, MPF = b"Exif\0\0", b"MPF\0"
METADATA = [
    *(Segment(COM, content) for content in (b"", b"a comment", BASELINE[:5000], b"\xff\xd9")),
    *(Segment(APP0, content) for content in (b"", b"JFIF\0", b"JFXX\0\x10" + BASELINE[:3000])),
    UNKNOWN_VERSION,
    *(
        Segment(APP1, EXIF + tiff)
        for tiff in (b"", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\xff\xff\xff\xff", BASELINE[:5000])
    ),
    Segment(APP1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta"),
    *(Segment(APP2, content) for content in (MPF, MPF + b"II*\0\x08\0\0\0\xff\xff garbage")),
    *(Segment(APP2, content) for content in (b"ICC_PROFILE\0", b"ICC_PROFILE\0\1\x09garbage")),
    *(Segment(0xED, b"Photoshop 3.0\x008BIM" + content) for content in (b"", b"\x03\xed\0\0\0\0\0\2\0\0")),
    *(Segment(APP14, content) for content in (b"Adobe", b"")),
    Segment(0xEF, b"\xff" * 60_000),
]


@pytest.mark.parametrize(
    "segment", METADATA, ids=lambda segment: f"{segment.marker:X} {(segment.content or b'')[:12]!r}"
)
@pytest.mark.parametrize("name", ["baseline", "progressive", "restart intervals"])
def test_a_segment_of_an_application_cannot_trip_the_decoder(name: str, segment: Segment) -> None:
    data = WHOLE[name]
    # Before everything, and before the first scan.
    scan = next(index for index, existing in enumerate(read_segments(data)) if existing.marker == SOS)

    assert intensity_of(with_segments(data, segment)) == intensity_of(data)
    assert intensity_of(with_segments(data, segment, at=scan)) == intensity_of(data)


def test_a_jpeg_without_huffman_tables_has_the_standard_ones() -> None:
    # The frames of Motion JPEG are stored in this way.
    assert intensity_of(without(BASELINE, DHT)) == intensity_of(BASELINE)


def test_segments_between_the_scans_of_a_progressive_jpeg_are_passed_over() -> None:
    segments: list[Segment] = []
    for segment in read_segments(PROGRESSIVE):
        if segment.marker == SOS:
            segments += [Segment(COM, b"between"), Segment(APP1, b"Exif\0\0garbage")]
        segments.append(segment)

    assert intensity_of(write_segments(segments)) == intensity_of(PROGRESSIVE)


def test_the_thumbnail_in_exif_data_is_not_what_is_measured() -> None:
    dark = encode(Image.new("RGB", (80, 56), "black"), "JPEG")
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "bright"
    thumbnail = encode(Image.new("RGB", (16, 16), "white"), "JPEG")

    with_thumbnail = with_segments(dark, Segment(APP1, exif.tobytes() + thumbnail))

    assert intensity_of(with_thumbnail) == 0.0


def test_damage_in_the_second_picture_of_a_jpeg_is_passed_over() -> None:
    first = photo("RGB", (40, 24))
    data = mpo(first, photo("RGB", (40, 24), seed=1))

    assert intensity_of(data[:-200]) == intensity_of(data) == intensity_of(encode(first, "JPEG"))


def test_the_files_of_these_tests_are_what_they_are_called() -> None:
    for marker, data in ((SOF0, BASELINE), (SOF2, PROGRESSIVE)):
        assert marker in [segment.marker for segment in read_segments(data)]
        assert write_segments(read_segments(data)) == data
