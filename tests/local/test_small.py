"""Which images have a turn of their own: the header says how many pixels there are, not the length of the file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from struct import pack

import pytest
from PIL import Image

from image_intensity import Limits, formats
from image_intensity.formats.jpeg import MOST_SEGMENTS
from local_server.small import SMALL_BYTES, is_small, pixels
from tests.local.measuring import black, picture

IMAGES = sorted(file for file in Path(__file__).parents[1].glob("conformance/*") if file.suffix in {".png", ".jpg"})


@pytest.mark.parametrize("file", IMAGES, ids=[file.name for file in IMAGES])
def test_the_header_says_as_many_pixels_as_the_library_finds(file: Path) -> None:
    content = file.read_bytes()
    _, structure = formats.read(content, Limits())
    width, height = structure.size
    assert pixels(content) == width * height


def jpeg(size: tuple[int, int], **options: object) -> bytes:
    file = BytesIO()
    Image.new("L", size).save(file, "JPEG", **options)
    return file.getvalue()


def with_segment(content: bytes, marker: int, segment: bytes) -> bytes:
    """A JPEG with a further segment in front."""
    return content[:2] + pack(">BBH", 0xFF, marker, 2 + len(segment)) + segment + content[2:]


@pytest.mark.parametrize("progressive", [True, False])
def test_the_size_of_a_jpeg_is_found_behind_a_preview_and_a_profile(progressive: bool) -> None:  # noqa: FBT001 - a parameter
    preview = jpeg((160, 120))
    content = with_segment(jpeg((1200, 900), progressive=progressive), 0xE1, b"Exif\0\0" + preview)
    content = with_segment(content, 0xE2, bytes(60_000))
    assert pixels(content) == 1200 * 900
    assert not is_small(content)


@pytest.mark.parametrize("size", [(64, 48), (1024, 1024)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_of_few_pixels_is_small(size: tuple[int, int], kind: str) -> None:
    file = BytesIO()
    Image.new("RGB", size).save(file, kind)
    assert is_small(file.getvalue())


def test_a_short_file_of_many_pixels_is_not_small() -> None:
    content = black(8000)
    assert len(content) < 10_000
    assert not is_small(content)
    assert not is_small(jpeg((1025, 1024)))


def test_a_long_file_of_few_pixels_is_not_small() -> None:
    content = picture()
    assert is_small(content + bytes(SMALL_BYTES - len(content)))
    assert not is_small(content + bytes(SMALL_BYTES - len(content) + 1))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8", b"BM" + bytes(100)])
def test_what_is_refused_at_once_is_small(content: bytes) -> None:
    assert is_small(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n",
        picture()[:20],
        jpeg((64, 48))[:4],
        jpeg((64, 48)).partition(b"\xff\xc0")[0],
        b"\xff\xd8\xff",
        # Something else than a segment, which the library passes over: here it could be a small header in disguise.
        b"\xff\xd8\xff\xe0\x00\x02junk" + jpeg((64, 48))[2:],
        b"\xff\xd8\xff\x01" + jpeg((64, 48))[2:],
    ],
)
def test_what_does_not_tell_its_size_is_not_small(content: bytes) -> None:
    assert pixels(content) is None
    assert not is_small(content)


def test_the_header_of_a_jpeg_is_looked_for_in_so_many_segments() -> None:
    content = jpeg((64, 48))
    # Before the frame header, Pillow writes JFIF and a table.
    for _ in range(MOST_SEGMENTS - 3):
        content = with_segment(content, 0xFE, b"")
    assert is_small(content)
    assert not is_small(with_segment(content, 0xFE, b""))
