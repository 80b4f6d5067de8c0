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
LEAST_LITERALS, LEAST_LENGTHS = 257, 4
# The order in which the lengths of the codes for lengths come.
ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
# The codes that repeat a length or zero: how many bits say how often, and the least that it is.
REPEATS = {16: (2, 3), 17: (3, 3), 18: (7, 11)}
BEFORE = 16
END_OF_BLOCK = 256


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
    return sum(is_head(int.from_bytes(taken[row], "little") >> place) for row, place in likely_places(values))


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


def is_head(bits: int) -> bool:
    """Return whether the lengths in a head give valid tables, with a code for the end of the block."""
    literals, distances = number(bits, *LITERALS) + LEAST_LITERALS, number(bits, *DISTANCES) + 1
    count = number(bits, *LENGTHS) + LEAST_LENGTHS
    codes = codes_of({symbol: number(bits, HEAD + 3 * index, 3) for index, symbol in enumerate(ORDER[:count])})
    found = table_lengths(bits >> HEAD + 3 * count, codes, literals + distances)
    return bool(found) and found[END_OF_BLOCK] > 0 and is_code(found[:literals]) and is_code(found[literals:])


def number(bits: int, offset: int, size: int) -> int:
    """Return a field, by its first bit and its number of bits."""
    return bits >> offset & (1 << size) - 1


def codes_of(lengths: dict[int, int]) -> list[tuple[int, int]]:
    """Return for each number of 7 bits, as they come, the size and the symbol of the code that it begins with.

    lengths: by symbol, of a code that leaves no number unused (RFC 1951, section 3.2.2).
    """
    code, table = 0, [(0, 0)] * 128
    for size in range(1, 8):
        for symbol in sorted(symbol for symbol, length in lengths.items() if length == size):
            first = int(f"{code:0{size}b}"[::-1], 2)
            table[first :: 1 << size] = [(size, symbol)] * (128 >> size)
            code += 1
        code <<= 1
    return table


def table_lengths(bits: int, codes: list[tuple[int, int]], count: int) -> list[int]:
    """Return `count` lengths of codes for literals and distances; nothing if the bits are no valid lengths."""
    lengths: list[int] = []
    while len(lengths) < count:
        size, symbol = codes[bits & 127]
        bits >>= size
        if symbol < BEFORE:
            lengths.append(symbol)
            continue
        if symbol == BEFORE and not lengths:
            return []
        more, least = REPEATS[symbol]
        lengths += [lengths[-1] if symbol == BEFORE else 0] * (least + number(bits, 0, more))
        bits >>= more
    return lengths if len(lengths) == count else []


def is_code(lengths: Sequence[int]) -> bool:
    """Return whether codes of these lengths are complete. A single code, or none, is valid too."""
    used = [length for length in lengths if length]
    return len(used) <= 1 or sum(1 << 15 - length for length in used) == 1 << 15
