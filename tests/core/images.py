"""Makes the images of these tests: whole ones of every kind, and the means to damage them."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SOI, EOI, SOS, DHT, DQT, DRI = 0xD8, 0xD9, 0xDA, 0xC4, 0xDB, 0xDD
SOF0, SOF2, APP0, APP1, APP2, APP14, COM = 0xC0, 0xC2, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE

# Color types of PNG -> samples per pixel, and the bit depths that are allowed (PNG, table 11.1).
GRAY, TRUECOLOR, INDEXED, GRAY_ALPHA, TRUECOLOR_ALPHA = 0, 2, 3, 4, 6
PNG_KINDS = {
    GRAY: (1, (1, 2, 4, 8, 16)),
    TRUECOLOR: (3, (8, 16)),
    INDEXED: (1, (1, 2, 4, 8)),
    GRAY_ALPHA: (2, (8, 16)),
    TRUECOLOR_ALPHA: (4, (8, 16)),
}
# First column, first row, column step and row step of each pass of Adam7 (PNG, section 8.1).
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4, "LA": 2}


def expected(data: bytes) -> float:
    """What the design promises for 8-bit images: NumPy's mean of the gray values that Pillow computes."""
    with Image.open(io.BytesIO(data)) as image:
        return float(np.asarray(image.convert("L")).mean())


def luma(colors: NDArray[np.integer]) -> NDArray[np.int64]:
    """BT.601 luma of colors of shape (..., 3 or more), in whole numbers."""
    red, green, blue = (colors[..., channel].astype(np.int64) for channel in range(3))
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def mean(values: NDArray[np.integer], highest: int = 255) -> float:
    """The mean of values on the scale to 255: the float64 nearest to it."""
    return float(Fraction(int(values.sum(dtype=np.int64)) * 255, values.size * highest))


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's own options
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def noise(mode: str, size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Return a picture with every value in it, the same for the same `seed`."""
    width, height = size
    channels = CHANNELS.get(mode, 3)
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    if mode == "P":
        return Image.fromarray(values).quantize(64)
    if mode == "1":
        return Image.fromarray(values[..., 0]).convert("1")
    return Image.fromarray(values[..., 0] if channels == 1 else values, mode)


def photo(mode: str, size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Return a picture with soft shapes, which JPEG stores as it does photographs."""
    width, height = size
    return noise(mode, (max(width // 8, 1), max(height // 8, 1)), seed).resize(size, Image.Resampling.BICUBIC)


class Chunk(NamedTuple):
    """A chunk of a PNG file. checksum: the one to write, the right one if None."""

    kind: bytes
    content: bytes
    checksum: int | None = None


def read_chunks(data: bytes) -> list[Chunk]:
    chunks = []
    offset = len(PNG_SIGNATURE)
    while offset < len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        chunks.append(Chunk(kind, data[offset + 8 : offset + 8 + length]))
        offset += 12 + length
    return chunks


def write_chunks(chunks: Iterable[Chunk], head: bytes = PNG_SIGNATURE) -> bytes:
    file = bytearray(head)
    for kind, content, checksum in chunks:
        crc = zlib.crc32(kind + content) if checksum is None else checksum
        file += struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", crc)
    return bytes(file)


def with_chunks(data: bytes, *added: Chunk, before: bytes = b"IDAT") -> bytes:
    chunks = read_chunks(data)
    place = [chunk.kind for chunk in chunks].index(before)
    return write_chunks([*chunks[:place], *added, *chunks[place:]])


def with_header(data: bytes, **fields: int) -> bytes:
    """Return the PNG file `data` with other values in its header, checksum included."""
    names = ("width", "height", "depth", "color_type", "compression", "filter", "interlace")
    header, *rest = read_chunks(data)
    values = dict(zip(names, struct.unpack(">IIBBBBB", header.content), strict=True)) | fields
    return write_chunks([Chunk(b"IHDR", struct.pack(">IIBBBBB", *values.values())), *rest])


def encode_png(  # noqa: PLR0913 - the fields of a PNG header
    samples: NDArray[np.uint16],
    depth: int,
    color_type: int,
    *,
    interlaced: bool = False,
    palette: bytes = b"",
    transparency: bytes = b"",
) -> bytes:
    """Return a PNG file of every kind that there is, which Pillow cannot write.

    samples: rows x columns x samples per pixel, each below 2**depth. palette, transparency: contents of PLTE and tRNS.
    """
    height, width, _ = samples.shape
    rows = filtered_rows(samples, depth, interlaced=interlaced)
    optional = [Chunk(kind, content) for kind, content in ((b"PLTE", palette), (b"tRNS", transparency)) if content]
    return write_chunks(
        [
            Chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlaced)),
            *optional,
            Chunk(b"IDAT", zlib.compress(rows)),
            Chunk(b"IEND", b""),
        ]
    )


def filtered_rows(samples: NDArray[np.uint16], depth: int, *, interlaced: bool = False) -> bytes:
    """Return what the zlib stream of a PNG holds: each row behind a byte for its filter, which is 0, none."""
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = bytearray()
    for left, top, across, down in passes:
        part = samples[top::down, left::across]
        for row in part if part.shape[1] else ():
            rows += b"\0" + packed(row.ravel(), depth)
    return bytes(rows)


def packed(row: NDArray[np.uint16], depth: int) -> bytes:
    """Return the samples of one row, most significant bit first, filled up to a whole byte."""
    bits = row[:, None] >> np.arange(depth - 1, -1, -1, dtype=np.uint16) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def random_samples(size: tuple[int, int], depth: int, color_type: int, seed: int = 0) -> NDArray[np.uint16]:
    """Return samples for `encode_png`, all values alike."""
    width, height = size
    channels = PNG_KINDS[color_type][0]
    return np.random.default_rng(seed).integers(0, 2**depth, (height, width, channels), dtype=np.uint16)


def random_png(
    size: tuple[int, int], depth: int, color_type: int, *, interlaced: bool = False, transparent: bool = False
) -> bytes:
    """Return a PNG file of that kind; `transparent` adds the transparent colors that its kind can have."""
    palette = np.random.default_rng(1).bytes(3 * 2**depth) if color_type == INDEXED else b""
    # The first color, or each entry of the palette more transparent than the last.
    transparencies = {GRAY: bytes(2), TRUECOLOR: bytes(6), INDEXED: bytes(range(256))[: 2**depth]}
    return encode_png(
        random_samples(size, depth, color_type),
        depth,
        color_type,
        interlaced=interlaced,
        palette=palette,
        transparency=transparencies[color_type] if transparent else b"",
    )


def with_rows(data: bytes, rows: bytes) -> bytes:
    """Return the PNG file `data` with other rows in its zlib stream, checksums and all else being valid."""
    return with_idat(data, zlib.compress(rows))


def with_idat(data: bytes, *contents: bytes) -> bytes:
    """Return the PNG file `data` with these IDAT chunks in place of its own."""
    others = [chunk for chunk in read_chunks(data) if chunk.kind != b"IDAT"]
    return write_chunks([*others[:-1], *(Chunk(b"IDAT", content) for content in contents), others[-1]])


def idat_of(data: bytes) -> bytes:
    return b"".join(chunk.content for chunk in read_chunks(data) if chunk.kind == b"IDAT")


class Segment(NamedTuple):
    """A marker segment of a JPEG file. content: None for markers without one. scan: the coded data behind it."""

    marker: int
    content: bytes | None = None
    scan: bytes = b""


def read_segments(data: bytes) -> list[Segment]:
    """Return the segments of a whole JPEG file that Pillow has written."""
    segments = [Segment(SOI)]
    position = 2
    while (marker := data[position + 1]) != EOI:
        assert data[position] == 0xFF
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        following = end
        if marker == SOS:
            while data[following] != 0xFF or data[following + 1] in {0x00, *range(0xD0, 0xD8)}:
                following += 1
        segments.append(Segment(marker, data[position + 4 : end], data[end:following]))
        position = following
    return [*segments, Segment(EOI)]


def write_segments(segments: Iterable[Segment]) -> bytes:
    file = bytearray()
    for marker, content, scan in segments:
        file += bytes((0xFF, marker))
        if content is not None:
            file += struct.pack(">H", len(content) + 2) + content
        file += scan
    return bytes(file)


def with_segments(data: bytes, *added: Segment, at: int = 1) -> bytes:
    """Return the JPEG file `data` with more segments before its segment number `at`, 1 being behind SOI."""
    segments = read_segments(data)
    return write_segments([*segments[:at], *added, *segments[at:]])


def with_scan(data: bytes, scan: bytes, number: int = 0) -> bytes:
    """Return the JPEG file `data` with other coded data in its scan `number`."""
    segments = read_segments(data)
    place = [index for index, segment in enumerate(segments) if segment.marker == SOS][number]
    segments[place] = segments[place]._replace(scan=scan)
    return write_segments(segments)


def scans(data: bytes) -> list[bytes]:
    return [segment.scan for segment in read_segments(data) if segment.marker == SOS]


def with_frame(data: bytes, marker: int, precision: int = 8) -> bytes:
    segments = read_segments(data)
    place = [segment.marker in {SOF0, SOF2} for segment in segments].index(True)
    content = segments[place].content or b""
    segments[place] = Segment(marker, bytes([precision]) + content[1:])
    return write_segments(segments)


def ycck(data: bytes) -> bytes:
    """Return the CMYK JPEG file `data` declared as YCCK, as Photoshop writes it, which Pillow does not."""
    adobe = b"Adobe\0\x64\0\0\0\0"
    return write_segments(
        Segment(APP14, adobe + b"\2") if segment.marker == APP14 else segment for segment in read_segments(data)
    )


def with_sampling(size: tuple[int, int], sampling: list[int], seed: int = 0) -> bytes:
    """Return a baseline JPEG in blocks of one color, at random, with any sampling factors: Pillow writes few.

    sampling: both factors of each component, as in the frame header.
    """
    chance = np.random.default_rng(seed)
    width, height = size
    across, down = max(factors >> 4 for factors in sampling), max(factors & 15 for factors in sampling)
    mcus = -(-width // (8 * across)) * -(-height // (8 * down))
    # The 11 classes of differences in codes of four bits, and one code for the end of a block.
    tables = [Segment(DHT, bytes([0, *[0] * 3, 11, *[0] * 12, *range(11)])), Segment(DHT, bytes([16, 1, *[0] * 15, 0]))]
    bits, before = [], [0] * len(sampling)
    for _ in range(mcus):
        for component, factors in enumerate(sampling):
            for value in chance.integers(-500, 500, (factors >> 4) * (factors & 15)).tolist():
                difference, before[component] = value - before[component], value
                category = abs(difference).bit_length()
                coded = difference if difference > 0 else difference + (1 << category) - 1
                bits.append(f"{category:04b}{coded:0{category}b}0" if category else "00000")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    count = len(sampling)
    components = b"".join(bytes([component, factors, 0]) for component, factors in enumerate(sampling))
    frame = Segment(SOF0, struct.pack(">BHHB", 8, height, width, count) + components)
    scan = bytes([count]) + b"".join(bytes([component, 0]) for component in range(count)) + b"\0\x3f\0"
    quantization = Segment(DQT, b"\0" + b"\1" * 64)
    return write_segments([Segment(SOI), quantization, frame, *tables, Segment(SOS, scan, data), Segment(EOI)])


def mpo(first: Image.Image, second: Image.Image) -> bytes:
    return encode(first, "MPO", save_all=True, append_images=[second])


def apng(first: Image.Image, *others: Image.Image, default_image: bool = False) -> bytes:
    """Return an animated PNG; `default_image` makes `first` a still that is no part of the animation."""
    return encode(first, "PNG", save_all=True, append_images=list(others), default_image=default_image)
