"""The structure of a WebP file (RFC 9649): its chunks, the headers of the first frame, and what decoders get of it.

Decoders see neither metadata nor further frames. Chunks have no checksums, so whatever two places of a file say of one
thing must agree.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from image_intensity.errors import UnsupportedFormat
from image_intensity.formats import Structure
from image_intensity.formats.webp.lossy import corrupt, read_lossy

if TYPE_CHECKING:
    from collections.abc import Iterator

# RIFF, the size of all that follows, and WEBP. A chunk has four bytes of type, and its size.
FILE_HEAD, CHUNK_HEAD = 12, 8
# The extended header, VP8X: flags, and the canvas. The control chunk of an animation, ANIM. The head of a frame, ANMF:
# place, size, duration, flags.
EXTENDED_BYTES, ANIMATION_BYTES, FRAME_BYTES = 10, 6, 16
ANIMATED, ALPHA = 0x02, 0x10
LOSSLESS_HEAD = struct.Struct("<BI")
LOSSLESS_SIGNATURE = 0x2F
SIDE_BITS = 14
# Compressions of an alpha channel: none, and as a lossless picture without a header.
RAW, COMPRESSED = 0, 1
# Each chunk takes 1 us in Python, also an empty one.
MAX_CHUNKS, CHUNK_BYTES = 50_000, 1 << 11
# Pillow and libwebp have the picture in four copies with four bytes a pixel, and the file in three more than one.
PIXEL_BYTES, MORE_COPIES = 16, 3


@dataclass(slots=True)
class WebP(Structure):
    """A WebP file with sound chunks.

    size: of the canvas. frame_size: of its first frame. flags: of the extended header, 0 without one. place: the head
    of the first frame of an animation. parts: the chunks of the first frame, by their types: a picture, VP8 or VP8L,
    and what ALPH adds to VP8.
    """

    frame_size: tuple[int, int] = (0, 0)
    flags: int = 0
    place: bytes = b""
    parts: dict[bytes, memoryview] = field(default_factory=dict)

    @property
    def decoded_bytes(self) -> int:
        files = MORE_COPIES * sum(len(content) for content in self.parts.values())
        return self.size[0] * self.size[1] * PIXEL_BYTES + files

    def essentials(self) -> bytes:
        """Return the file again, with the first frame alone and without metadata."""
        image = b"".join(chunk(kind, content) for kind, content in self.parts.items())
        if not self.flags & ANIMATED:
            return file_of(self.extended() + image if b"ALPH" in self.parts else image)
        animation = chunk(b"ANIM", bytes(ANIMATION_BYTES))
        return file_of(self.extended() + animation + chunk(b"ANMF", self.place + image))

    def extended(self) -> bytes:
        width, height = (side - 1 for side in self.size)
        sides = width.to_bytes(3, "little") + height.to_bytes(3, "little")
        return chunk(b"VP8X", bytes([self.flags & (ANIMATED | ALPHA), 0, 0, 0]) + sides)


def chunk(kind: bytes, content: bytes | memoryview) -> bytes:
    """Return a chunk, with a byte of padding where its length is odd."""
    return b"".join([kind, len(content).to_bytes(4, "little"), content, bytes(len(content) % 2)])


def file_of(chunks: bytes) -> bytes:
    return chunk(b"RIFF", b"WEBP" + chunks)


def read(data: bytes) -> WebP:
    """Read the chunks of a file. Raises CorruptImage or UnsupportedFormat.

    Bytes after the end that the head of the file tells are passed over: no pixel depends on them.
    """
    end = CHUNK_HEAD + int.from_bytes(data[4:8], "little")
    if end > len(data):
        corrupt("it is cut short")
    picture = WebP()
    every = chunks(memoryview(data)[FILE_HEAD:end])
    kind, content = next(every, (b"", memoryview(b"")))
    if kind == b"VP8X":
        read_extended(picture, content, every)
    elif kind in {b"VP8 ", b"VP8L"}:
        picture.parts[kind] = content
        picture.size = picture.frame_size = picture_size(kind, content)
    else:
        corrupt("it does not start with a picture or its header")
    check_alpha(picture)
    return picture


def chunks(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    offset = 0
    most = MAX_CHUNKS + len(content) // CHUNK_BYTES
    for _ in range(most):
        if offset == len(content):
            return
        if offset + CHUNK_HEAD > len(content):
            corrupt("its chunks do not end where the file ends")
        kind, size = struct.unpack_from("<4sI", content, offset)
        start = offset + CHUNK_HEAD
        offset = start + size + size % 2
        if offset > len(content):
            corrupt("a chunk is cut short")
        yield kind, content[start : start + size]
    detail = f"This WebP has more than {most:,} chunks, more than encoders write into a file of its size."
    raise UnsupportedFormat(detail)


def read_extended(picture: WebP, header: memoryview, every: Iterator[tuple[bytes, memoryview]]) -> None:
    if len(header) != EXTENDED_BYTES:
        corrupt("its header is not valid")
    picture.flags = header[0]
    picture.size = (1 + little(header[4:7]), 1 + little(header[7:10]))
    if picture.flags & ANIMATED:
        read_animation(picture, every)
        return
    for kind, content in every:
        if kind in {b"VP8X", b"ANIM", b"ANMF"}:
            corrupt("a chunk is in the wrong place")
        if kind in {b"ALPH", b"VP8 ", b"VP8L"}:
            add_part(picture, kind, content)
        elif b"ALPH" in picture.parts and len(picture.parts) == 1:
            corrupt("something stands between its alpha channel and its picture")
    check_frame(picture)
    if picture.frame_size != picture.size:
        corrupt("its headers tell different sizes")


def read_animation(picture: WebP, every: Iterator[tuple[bytes, memoryview]]) -> None:
    """Read the first frame of an animation, and count the others."""
    picture.frames = 0
    controlled = False
    for kind, content in every:
        if kind == b"ANIM" and not controlled and len(content) == ANIMATION_BYTES:
            controlled = True
        elif kind == b"ANMF":
            if not controlled or len(content) < FRAME_BYTES:
                corrupt("a frame is not valid")
            picture.frames += 1
            if picture.frames == 1:
                read_frame(picture, content)
        elif kind in {b"VP8X", b"ANIM", b"ALPH", b"VP8 ", b"VP8L"}:
            corrupt("a chunk of its animation is in the wrong place")
    if not picture.frames:
        corrupt("it has no image data")


def read_frame(picture: WebP, content: memoryview) -> None:
    picture.place = bytes(content[:FRAME_BYTES])
    x, y = 2 * little(content[:3]), 2 * little(content[3:6])
    width, height = 1 + little(content[6:9]), 1 + little(content[9:12])
    if x + width > picture.size[0] or y + height > picture.size[1]:
        corrupt("its first frame is not inside the canvas")
    for kind, part in chunks(content[FRAME_BYTES:]):
        if kind in {b"ALPH", b"VP8 ", b"VP8L"}:
            add_part(picture, kind, part)
        elif not {b"VP8 ", b"VP8L"} & picture.parts.keys():
            corrupt("its first frame does not start with its picture")
    check_frame(picture)
    if picture.frame_size != (width, height):
        corrupt("its headers tell different sizes")


def add_part(picture: WebP, kind: bytes, content: memoryview) -> None:
    """Note a chunk of the first frame: one picture, and for VP8 an alpha channel before it."""
    if kind in picture.parts or picture.parts.keys() - {b"ALPH"} or (kind == b"VP8L" and picture.parts):
        corrupt("it has more than one picture")
    picture.parts[kind] = content


def check_frame(picture: WebP) -> None:
    """Read the size of the first frame. Raises CorruptImage if it has no picture."""
    kind = next(reversed(picture.parts), b"")
    if kind not in {b"VP8 ", b"VP8L"}:
        corrupt("it has no image data")
    picture.frame_size = picture_size(kind, picture.parts[kind])


def picture_size(kind: bytes, content: memoryview) -> tuple[int, int]:
    """Check the headers of a picture, and return its width and height."""
    if kind == b"VP8 ":
        return read_lossy(content)
    if len(content) < LOSSLESS_HEAD.size:
        corrupt("its picture is cut short")
    signature, bits = LOSSLESS_HEAD.unpack_from(content)
    # 14 bits for each side, one that tells of an alpha channel, and three of version.
    if signature != LOSSLESS_SIGNATURE or bits >> (2 * SIDE_BITS + 1):
        corrupt("the header of its picture is not valid")
    side = (1 << SIDE_BITS) - 1
    return 1 + (bits & side), 1 + (bits >> SIDE_BITS & side)


def check_alpha(picture: WebP) -> None:
    """Raise CorruptImage unless the header of an alpha channel is valid, and all of it there that is not compressed."""
    alpha = picture.parts.get(b"ALPH")
    if alpha is None:
        return
    width, height = picture.frame_size
    # Two bits each of compression, filter, preprocessing, and none.
    compression, preprocessing, reserved = (alpha[0] & 3, alpha[0] >> 4 & 3, alpha[0] >> 6) if alpha else (2, 0, 0)
    if compression > COMPRESSED or preprocessing > 1 or reserved:
        corrupt("the header of its alpha channel is not valid")
    if compression == RAW and len(alpha) != 1 + width * height:
        corrupt("its alpha channel does not have one byte for each pixel")


def little(content: memoryview) -> int:
    return int.from_bytes(content, "little")
