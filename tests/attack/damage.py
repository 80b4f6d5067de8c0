"""Ways to damage a file: each takes a sound one and gives another, or None where it has no place for it."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, TypeVar

from image_intensity.formats.webp.structure import chunk, file_of
from tests.core.images import (
    APP0,
    DHT,
    DQT,
    DRI,
    SOS,
    Segment,
    idat_of,
    read_chunks,
    read_segments,
    with_idat,
    write_chunks,
    write_segments,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

T = TypeVar("T")
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
MARKERS = range(0xC0, 0xFF)
# libjpeg reads this far ahead, and does not report bytes that it has read and not used.
AHEAD = 7


def flipped(data: bytes, place: int, chance: random.Random) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def a_scan(data: bytes, chance: random.Random) -> tuple[list[Segment], int]:
    """The segments of a JPEG, and which of its scans to damage: by the length of their data."""
    segments = read_segments(data)
    weights = [len(segment.scan) for segment in segments]
    return segments, chance.choices(range(len(segments)), weights)[0]


def with_scan(segments: list[Segment], index: int, scan: bytes) -> bytes:
    segments[index] = segments[index]._replace(scan=scan)
    return write_segments(segments)


def flip_coded_data(data: bytes, chance: random.Random) -> bytes:
    segments, index = a_scan(data, chance)
    return with_scan(segments, index, flip_any(segments[index].scan, chance))


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(3, len(data) - 1)]


def cut_and_close(data: bytes, chance: random.Random) -> bytes:
    segments, index = a_scan(data, chance)
    scan = segments[index].scan
    # With 0xFF as its last byte, the data would turn what follows into another marker.
    return with_scan(segments, index, scan[: chance.randrange(len(scan))].rstrip(b"\xff"))


def surplus(data: bytes, chance: random.Random) -> bytes:
    """Bytes behind the data of a scan or restart interval, more than libjpeg reads ahead."""
    segments, index = a_scan(data, chance)
    scan = segments[index].scan
    ends = [*(found.start() for found in RESTART.finditer(scan)), len(scan)]
    place = chance.choice(ends)
    added = bytes(chance.randrange(0xFF) for _ in range(chance.randint(AHEAD + 1, 64)))
    return with_scan(segments, index, scan[:place] + added + scan[place:])


def restart_markers(data: bytes, chance: random.Random) -> bytes:
    segments, index = a_scan(data, chance)
    scan = segments[index].scan
    marker = bytes([0xFF, 0xD0 + chance.randrange(8)])
    places = [found.start() for found in RESTART.finditer(scan)]
    action = chance.randrange(4) if places else 0
    if action == 0:
        return with_scan(segments, index, scan + marker)
    place = chance.choice(places)
    added = {1: b"", 2: marker, 3: scan[place : place + 2] * 2}[action]
    return with_scan(segments, index, scan[:place] + added + scan[place + 2 :])


def nothing_that_counts(data: bytes, chance: random.Random) -> bytes:
    """Markers without a length, and segments of applications, between segments: they change nothing."""
    segments = read_segments(data)
    comment, of_an_application = b"\xff\xfe\0\x08random", b"\xff\xe5\0\x12" + chance.randbytes(16)
    added = chance.choice([b"\xff\x01", b"\xff\xd3", b"\xff\xff\xff\x01", comment, of_an_application])
    place = chance.randrange(1, len(segments))
    if place == 1 and added[1] != 0xFE:
        # The first marker belongs to the signature of JPEG.
        added = b"\xff\xfe\0\2" + added
    return write_segments(segments[:place]) + added + write_segments(segments[place:])


def segments_moved(data: bytes, chance: random.Random) -> bytes:
    first, *segments = read_segments(data)
    if chance.randrange(4):
        return write_segments([first, *moved(segments, chance)])
    place = chance.randrange(len(segments))
    segments[place] = segments[place]._replace(marker=chance.choice(MARKERS))
    return write_segments([first, *segments])


def moved(parts: list[T], chance: random.Random) -> list[T]:
    """One part dropped, doubled or moved."""
    place, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    action = chance.randrange(3)
    part = parts[place] if action == 1 else parts.pop(place)
    if action:
        parts.insert(other, part)
    return parts


def header_byte(data: bytes, chance: random.Random) -> bytes:
    """A byte of a table, of a header or of the JFIF segment."""
    segments = read_segments(data)
    telling = {APP0, 0xEE, DHT, DQT, DRI, SOS, *range(0xC0, 0xC4)}
    places = [place for place, segment in enumerate(segments) if segment.content and segment.marker in telling]
    place = chance.choice(places)
    segments[place] = segments[place]._replace(content=flip_any(segments[place].content or b"", chance))
    return write_segments(segments)


def header_damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes lost from, added to or changed in a segment, its marker and length included."""
    place, end = chance.choice(headers(data))
    place += chance.randrange(end - place)
    size = chance.randint(1, 4)
    rest = data[place + size :]
    match chance.randrange(8):
        case 0 | 1:
            return data[:place] + rest
        case 2 | 3:
            return data[:place] + chance.choice([chance.randbytes(size), bytes(size), b"\xff" * size]) + data[place:]
        case 4:
            return data[:place] + data[place : place + size] + data[place:]
        case 5:
            return data[:place] + data[place : place + size][::-1] + rest
        case 6:
            return data[:place] + chance.randbytes(size) + rest
        case _:
            size = chance.randint(1, 64)
            return data[:place] + bytes(size) + data[place + size :]


def headers(data: bytes) -> list[tuple[int, int]]:
    """Where each segment of a JPEG begins and ends, without the coded data."""
    found, start = [], 0
    for segment in read_segments(data):
        size = len(write_segments([segment]))
        found.append((start, start + size - len(segment.scan)))
        start += size
    return found


def transfer(data: bytes, chance: random.Random) -> bytes:
    """What copying does to headers: a sector of zeros, or lost, or there twice; other ends of lines."""
    start, end = chance.choice(headers(data))
    sector = chance.choice([16, 64, 256, 512])
    place = chance.randrange(start, end) // sector * sector
    match chance.randrange(6):
        case 0:
            return data[:place] + bytes(min(sector, len(data) - place)) + data[place + sector :]
        case 1:
            return data[:place] + data[place + sector :]
        case 2:
            return data[: place + sector] + data[place:]
        case other:
            before, after = [(b"\n", b"\r\n"), (b"\r\n", b"\n"), (b"\r", b"")][other - 3]
            return data[:end].replace(before, after) + data[end:]


def joined(others: Sequence[bytes], data: bytes, chance: random.Random) -> bytes:
    """The beginning of a file and the end of another one, without its frame header: it would be whole otherwise."""
    other = chance.choice(others)
    segments = read_segments(other)
    frame = next(place for place, segment in enumerate(segments) if segment.marker in range(0xC0, 0xC3))
    first, _ = headers(other)[frame]
    middle = chance.randrange(2)
    place = max(first + 1, len(other) // 2) if middle else chance.randrange(first + 1, len(other))
    return data[: len(data) // 2 if middle else chance.randrange(len(data))] + other[place:]


def flip_compressed_data(data: bytes, chance: random.Random) -> bytes:
    return with_idat(data, flip_any(idat_of(data), chance))


def stream_end(data: bytes, chance: random.Random) -> bytes:
    """The zlib stream cut near its end, without its last block, or with something behind it."""
    stream = idat_of(data)
    rows = zlib.decompress(stream)
    compressor = zlib.compressobj()
    endless = compressor.compress(rows) + compressor.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.adler32(rows).to_bytes(4, "big")
    ends = [
        *(endless, endless + checksum, stream[: -chance.randint(1, 12)], chance.randbytes(2) + stream[2:]),
        stream + chance.randbytes(chance.randint(1, 9)),
        zlib.compress(rows[: -chance.randint(1, min(len(rows), 400))]),
        zlib.compress(rows + chance.randbytes(chance.randint(1, 400))),
    ]
    return with_idat(data, chance.choice(ends))


def rows_changed(data: bytes, chance: random.Random) -> bytes:
    """Another picture: bytes of its rows, filters included, compressed anew and cut into chunks anywhere."""
    rows = bytearray(zlib.decompress(idat_of(data)))
    for _ in range(chance.randint(1, 8)):
        rows[chance.randrange(len(rows))] = chance.choice([0, 1, 2, 3, 4, chance.randrange(256)])
    stream = zlib.compress(rows, chance.randrange(10))
    cuts = sorted(chance.randrange(len(stream)) for _ in range(chance.randint(0, 3)))
    return with_idat(data, *(stream[first:last] for first, last in zip([0, *cuts], [*cuts, None], strict=True)))


def chunks_moved(data: bytes, chance: random.Random) -> bytes:
    return write_chunks(moved(read_chunks(data), chance))


def chunk_byte(data: bytes, chance: random.Random) -> bytes:
    """A bit of a chunk that is not image data, its checksum mended."""
    chunks = read_chunks(data)
    place = chance.choice([place for place, chunk in enumerate(chunks) if chunk.kind != b"IDAT" and chunk.content])
    chunks[place] = chunks[place]._replace(content=flip_any(chunks[place].content, chance))
    return write_chunks(chunks)


def flip_any(data: bytes, chance: random.Random) -> bytes:
    return flipped(data, chance.randrange(len(data)), chance)


def zeroed(data: bytes, chance: random.Random) -> bytes:
    """A block of a disk that was never written."""
    size = chance.choice([512, 4096])
    place = chance.randrange(len(data)) // size * size
    return data[:place] + bytes(min(size, len(data) - place)) + data[place + size :]


def lost(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + data[place + chance.randint(1, 16) :]


def riff_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        found.append((data[place : place + 4], data[place + 8 : place + 8 + size]))
        place += 8 + size + size % 2
    return found


def write_riff(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return file_of(b"".join(chunk(*each) for each in chunks))


def webp_chunks(data: bytes, chance: random.Random) -> bytes:
    """A chunk cut, lengthened, dropped, doubled, moved or renamed; all sizes fit again."""
    chunks = riff_chunks(data)
    place = chance.randrange(len(chunks))
    kind, content = chunks[place]
    match chance.randrange(6):
        case 0 | 1:
            chunks[place] = (kind, content[: chance.randrange(len(content) + 1)])
        case 2:
            chunks[place] = (kind, content + chance.randbytes(chance.randint(1, 64)))
        case 3 | 4:
            return write_riff(moved(chunks, chance))
        case _:
            chunks[place] = (chance.choice([b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"JUNK"]), content)
    return write_riff(chunks)


def webp_header(data: bytes, chance: random.Random) -> bytes:
    """A bit of the head of the file, or of a chunk and the first bytes of its content."""
    starts = [0] + [found.start() for found in re.finditer(b"VP8[ LX]|ALPH|ANIM|ANMF", data)]
    return flipped(data, min(chance.choice(starts) + chance.randrange(30), len(data) - 1), chance)
