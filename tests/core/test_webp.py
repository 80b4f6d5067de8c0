"""WebP: its number is Pillow's to the last bit, and what is damaged is refused."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, features

from image_intensity import (
    CorruptImage,
    Limits,
    Measurement,
    Options,
    TooManyPixels,
    UnsupportedFormat,
    measure,
)
from image_intensity.formats.webp.structure import MAX_CHUNKS, PIXEL_BYTES, chunk, file_of
from tests.attack.damage import riff_chunks, write_riff
from tests.attack.images import webps
from tests.core.images import encode, expected, noise, photo
from tests.core.test_hostility import memory_of

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = Limits(formats=("PNG", "JPEG", "WEBP"))
MADE = webps()
LOSSY = encode(photo("RGB", (80, 56)), "WEBP")
ALPHA = encode(photo("RGBA", (80, 56)), "WEBP")
LOSSLESS = encode(photo("RGB", (80, 56)), "WEBP", lossless=True)
# A lossless picture of 16383 x 16383 pixels in one color: five codes of one symbol, which take no bits of the pixels.
ONE_COLOR = bytes.fromhex("88880888880888")
BOMB = file_of(chunk(b"VP8L", b"\x2f" + (0x3FFE | 0x3FFE << 14).to_bytes(4, "little") + ONE_COLOR))


def measured(data: bytes, **options: Any) -> Measurement:  # noqa: ANN401 - values of options
    return measure(data, Options(**options), LIMITS)


def refusal(data: bytes) -> str:
    with pytest.raises(CorruptImage) as refused:
        measured(data)
    return str(refused.value)


@pytest.mark.parametrize("name", MADE)
def test_number_mode_and_frames_are_pillows(name: str) -> None:
    data = MADE[name]()
    result = measured(data)
    with Image.open(io.BytesIO(data)) as image:
        assert (result.original_mode, result.image_size, result.frames) == (image.mode, image.size, image.n_frames)  # type: ignore[attr-defined] # of WebP
    assert result.average_intensity == expected(data)
    assert (result.image_format, result.bit_depth, result.stored_bit_depth) == ("WEBP", 8, 8)
    assert result.decoders["libwebp"] == features.version("webp")


def test_webp_is_not_measured_unless_it_is_asked_for() -> None:
    with pytest.raises(UnsupportedFormat, match="is not PNG or JPEG"):
        measure(LOSSY)


def test_hidden_colors_count_and_alpha_is_weighted_by_our_rules() -> None:
    pixels = np.asarray(noise("RGBA", (40, 30)))
    data = encode(Image.fromarray(pixels), "WEBP", lossless=True, exact=True)
    png = encode(Image.fromarray(pixels), "PNG")
    for alpha in ("ignore", "weight", "black", "white"):
        assert measured(data, alpha=alpha).histogram == measured(png, alpha=alpha).histogram


def test_a_region_is_the_same_as_of_a_png() -> None:
    image = noise("RGB", (61, 47))
    data = encode(image, "WEBP", lossless=True)
    region = "7,5,30,20"
    assert measured(data, region=region).histogram == measured(encode(image, "PNG"), region=region).histogram


def test_a_first_frame_smaller_than_its_canvas_is_on_transparent_black() -> None:
    frames = [noise("RGBA", (64, 48)), noise("RGBA", (64, 48), seed=1)]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    head, *rest = riff_chunks(data)
    larger = head[1][:4] + (99).to_bytes(3, "little") + (79).to_bytes(3, "little")
    data = write_riff([(b"VP8X", larger), *rest])
    result = measured(data)
    assert result.image_size == (100, 80)
    assert result.average_intensity == expected(data)
    assert result.histogram[0] >= 100 * 80 - 64 * 48


def test_metadata_and_further_frames_may_be_damaged() -> None:
    image = photo("RGB", (80, 56))
    data = encode(image, "WEBP", icc_profile=b"profile", exif=b"Exif\0\0not a directory", xmp=b"<")
    assert measured(data).average_intensity == expected(LOSSY)
    animation = MADE["animated lossless"]()
    assert measured(animation[:-300] + bytes(300)).average_intensity == expected(animation)
    assert measured(LOSSY + b"more").average_intensity == expected(LOSSY)


@pytest.mark.parametrize("data", [LOSSY, ALPHA, LOSSLESS, MADE["animated lossy"]()])
def test_no_part_of_a_file_is_accepted(data: bytes) -> None:
    assert "cut short" in refusal(data[:-1])
    for length in range(12, len(data), 97):
        refusal(data[:length])


@pytest.mark.parametrize("data", [LOSSY, ALPHA, LOSSLESS])
@pytest.mark.parametrize(
    "change", [lambda part: part[:-6], lambda part: part + bytes(8), lambda part: part[: len(part) // 2]]
)
def test_coded_data_must_be_as_long_as_its_codes(data: bytes, change: Callable[[bytes], bytes]) -> None:
    chunks = riff_chunks(data)
    for place, (kind, content) in enumerate(chunks):
        if kind != b"VP8X":
            refusal(write_riff([*chunks[:place], (kind, change(content)), *chunks[place + 1 :]]))


def with_bytes(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (with_bytes(LOSSY, 12, b"JUNK"), "does not start with a picture"),
        (with_bytes(LOSSY, 20, bytes([LOSSY[20] | 1])), "header of its picture"),
        (with_bytes(LOSSY, 20, bytes([LOSSY[20] & ~0x10])), "header of its picture"),
        (with_bytes(LOSSY, 20, bytes([LOSSY[20] | 0x0E])), "header of its picture"),
        (with_bytes(LOSSY, 21, b"\xff\xff"), "partition"),
        (with_bytes(LOSSY, 23, b"\0"), "header of its picture"),
        (with_bytes(LOSSY, 26, bytes(2)), "header of its picture"),
        (with_bytes(LOSSLESS, 20, b"\0"), "header of its picture"),
        (with_bytes(LOSSLESS, 24, bytes([LOSSLESS[24] | 0x20])), "header of its picture"),
        (with_bytes(ALPHA, 24, b"\0"), "different sizes"),
        (with_bytes(ALPHA, 20, bytes([ALPHA[20] | 2])), "wrong place"),
        (with_bytes(ALPHA, ALPHA.index(b"ALPH") + 8, b"\xc1"), "alpha channel"),
        (with_bytes(ALPHA, ALPHA.index(b"ALPH") + 8, b"\x02"), "alpha channel"),
        (with_bytes(ALPHA, ALPHA.index(b"ALPH") + 8, b"\0"), "one byte for each pixel"),
        (write_riff([*riff_chunks(ALPHA), riff_chunks(LOSSY)[0]]), "more than one picture"),
        (write_riff([each for each in riff_chunks(ALPHA) if each[0] != b"VP8 "]), "no image data"),
        (write_riff([*riff_chunks(ALPHA)[:2], (b"JUNK", b""), riff_chunks(ALPHA)[2]]), "stands between"),
        (write_riff([*riff_chunks(ALPHA), riff_chunks(ALPHA)[0]]), "wrong place"),
        (write_riff(riff_chunks(MADE["animated lossy"]())[:2]), "no image data"),
        (write_riff([each for each in riff_chunks(MADE["animated lossy"]()) if each[0] != b"ANIM"]), "not valid"),
        (write_riff(riff_chunks(MADE["animated lossy"]())[:3] * 2), "wrong place"),
        (with_bytes(MADE["animated lossy"](), 52, b"\x30"), "not inside the canvas"),
    ],
)  # fmt: skip
def test_structure_that_contradicts_itself_is_damaged(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


def test_too_many_chunks_are_refused_at_once() -> None:
    head, *rest = riff_chunks(ALPHA)
    data = write_riff([head, *[(b"JUNK", b"")] * (MAX_CHUNKS * 2), *rest])
    with pytest.raises(UnsupportedFormat, match="chunks"):
        measured(data)


def test_a_bomb_is_refused_by_its_header() -> None:
    assert len(BOMB) <= 34
    with pytest.raises(TooManyPixels):
        measured(BOMB)
    with pytest.raises(TooManyPixels, match="bytes of memory"):
        measure(BOMB, limits=Limits(formats=("WEBP",), max_pixels=10**9))
    canvas = bytes([2, 0, 0, 0]) + (16382).to_bytes(3, "little") * 2
    frame = bytes(6) + (79).to_bytes(3, "little") + (55).to_bytes(3, "little") + bytes(4)
    animation = [(b"VP8X", canvas), (b"ANIM", bytes(6)), (b"ANMF", frame + LOSSY[12:])]
    with pytest.raises(TooManyPixels):
        measured(write_riff(animation))


@pytest.mark.parametrize("options", [{"quality": 50}, {"lossless": True, "quality": 0}])
def test_the_memory_that_decoding_takes_is_at_most_what_is_told(options: dict[str, Any]) -> None:
    data = encode(photo("RGBA", (2000, 1500)).convert("RGBA"), "WEBP", method=0, **options)
    taken, _, told = memory_of(data)
    assert told >= 2000 * 1500 * PIXEL_BYTES
    assert 0.5 * told < taken < 1.1 * told + len(data) + 10_000_000


@pytest.mark.usefixtures("alone")
def test_the_worst_file_takes_no_longer_than_three_honest_ones() -> None:
    """The file of 32 bytes with as many pixels as may be, and an honest one of noise with the same pixels."""
    side = 1500
    head = (side - 1 | (side - 1) << 14).to_bytes(4, "little")
    worst = file_of(chunk(b"VP8L", b"\x2f" + head + ONE_COLOR))
    honest = encode(photo("RGB", (side, side)), "WEBP", lossless=True, quality=0, method=0)

    def seconds(data: bytes) -> float:
        begun = time.process_time()
        measured(data)
        return time.process_time() - begun

    assert seconds(worst) < 3 * seconds(honest)
