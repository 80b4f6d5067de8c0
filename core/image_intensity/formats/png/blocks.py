"""Whether the compressed data of a PNG consists of tiny blocks, which cost far more time than honest data.

A block of a deflate stream can bring its own Huffman tables (RFC 1951, section 3.2.7). They fit into 12 bytes, and
building them takes as long as inflating 100 bytes. Compressors write one block for some thousand bytes of pixels. No
library for Python counts blocks. So samples are taken: where blocks are tiny, the heads of blocks are all over the
stream, and what is none looks like one in less than one of a million places.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
from zlib_ng import zlib_ng

from image_intensity.errors import UnsupportedFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

# Data up to this size is not checked: it is inflated in 40 ms, whatever its blocks are.
FREE_BYTES = 1 << 19
# Number of samples, and the bytes of each in which a head may begin. The head goes on after them: 17 bits, 19 lengths
# of 3 bits, and 316 lengths of up to 14 bits.
SAMPLES, SAMPLE_BYTES, HEAD_BYTES = 16, 64, 10 + 316 * 14 // 8
# The places of the samples are computed from this much of the start of the data.
SEED_BYTES = 1 << 16
# A block of this many bytes takes as long as honest data of the same size.
LEAST_BLOCK_BYTES = 64
# A head: a bit that says whether the block is the last one, two of type, three numbers, and lengths of 3 bits.
TYPE, LITERALS, DISTANCES, LENGTHS, HEAD = (1, 2), (3, 5), (8, 5), (13, 4), 17
DYNAMIC, MOST_LITERALS, MOST_DISTANCES = 2, 286 - 257, 30 - 1
LEAST_LENGTHS = 4
# The order in which the lengths of the codes for lengths come.
ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
# A deflate stream without a header. What is said of it if its first tables are valid, and what follows is not.
RAW = -15
BEHIND_TABLES = ("invalid literal/length code", "invalid distance code", "invalid distance too far back")


def check_blocks(data: Iterable[memoryview]) -> None:
    """Raise UnsupportedFormat if the zlib stream in `data` has a block in every `LEAST_BLOCK_BYTES`, or more blocks."""
    parts = [*data]
    total = sum(map(len, parts))
    if total <= FREE_BYTES:
        return
    # The places depend only on the data, so that a file always gets the same answer.
    chance = random.Random(bytes(parts[0][:SEED_BYTES]) + total.to_bytes(8, "big"))  # noqa: S311 - no secret
    starts = sorted(chance.randrange(total) for _ in range(SAMPLES))
    heads = count_heads([*samples(parts, starts)])
    if heads * LEAST_BLOCK_BYTES > SAMPLES * SAMPLE_BYTES:
        raise UnsupportedFormat("The compressed data of this image has smaller blocks than encoders write.")


def samples(parts: Sequence[memoryview], starts: Iterable[int]) -> Iterator[bytes]:
    """Yield the bytes of `parts` from each of `starts`, as many as a sample and the head of a block can have."""
    ends = np.cumsum([len(part) for part in parts])
    size = SAMPLE_BYTES + HEAD_BYTES
    for start in starts:
        index = int(np.searchsorted(ends, start, "right"))
        begin, sample = start - int(ends[index]) + len(parts[index]), b""
        while len(sample) < size and index < len(parts):
            sample += parts[index][begin : begin + size - len(sample)]
            begin, index = 0, index + 1
        yield sample.ljust(size, b"\0")


def count_heads(taken: Sequence[bytes]) -> int:
    """Return in how many places of samples, their first `SAMPLE_BYTES` each, a block with its own tables may begin."""
    values = np.frombuffer(b"".join(taken), np.uint8).reshape(len(taken), -1)
    starts = (int.from_bytes(taken[row], "little") >> place for row, place in likely_places(values))
    return sum(is_head(start.to_bytes(SAMPLE_BYTES + HEAD_BYTES, "little")) for start in starts)


def likely_places(values: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Return the places where a valid head may begin: its type, its numbers, and a complete code for lengths.

    values: the bytes of the samples, one in a row. A place is a row, and how many bits are before it.
    """
    # The 57 bits from each place on, in the order of a deflate stream: the first is the lowest.
    columns = SAMPLE_BYTES + 3
    words = sum(values[:, index : index + columns].astype(np.uint64) << np.uint64(8 * index) for index in range(8))
    bits = (np.asarray(words)[:, :, None] >> np.arange(8, dtype=np.uint64)).reshape(len(values), -1)
    heads = bits[:, : 8 * SAMPLE_BYTES]
    rows, places = np.nonzero(
        (field_of(heads, TYPE) == DYNAMIC)
        & (field_of(heads, LITERALS) <= MOST_LITERALS)
        & (field_of(heads, DISTANCES) <= MOST_DISTANCES)
    )
    counts = field_of(heads[rows, places], LENGTHS) + LEAST_LENGTHS
    lengths = bits[rows, places + HEAD]
    shares = np.zeros(rows.size, np.int64)
    for index in range(len(ORDER)):
        size = field_of(lengths, (3 * index, 3))
        # A code of n bits uses 1 / 2**n of all possible codes: here, 128 / 2**n of 128.
        shares += np.where((size > 0) & (index < counts), 128 >> size, 0)
    found = shares == 128  # noqa: PLR2004 - all
    return list(zip(rows[found].tolist(), places[found].tolist(), strict=True))


def field_of(bits: NDArray[np.uint64], field: tuple[int, int]) -> NDArray[np.int64]:
    """Return a field of each of `bits`, by its first bit and its number of bits."""
    offset, size = field
    return ((bits >> np.uint64(offset)) & np.uint64((1 << size) - 1)).astype(np.int64)


def is_head(data: bytes) -> bool:
    """Return whether a block with tables begins where `data` does: zlib-ng builds them before it reads a code."""
    try:
        zlib_ng.decompressobj(RAW).decompress(data, 1)
    except zlib_ng.error as error:  # type: ignore[misc] # its stub declares an instance
        return str(error).endswith(BEHIND_TABLES)
    return True
