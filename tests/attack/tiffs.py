"""Damaged TIFFs, by compression: what libtiff's own program says of them, and what the measurement makes of them."""

from __future__ import annotations

import struct
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from image_intensity import detect
from image_intensity.formats.tiff.structure import read
from tests.attack.campaign import Row
from tests.attack.damage import flip_any, flipped, lost, zeroed
from tests.attack.judges import asked, ours
from tests.bench.images import CORPUS
from tests.core import tiffs
from tests.core.images import encode, photo

if TYPE_CHECKING:
    import random

# It reads all strips and tiles, and says what it does not like in messages alone.
JUDGE = ["tiffinfo", "-D"]
MOST_BYTES = 150_000
NAMES = {1: "none", 5: "LZW", 7: "JPEG", 8: "deflate", 32773: "PackBits"}
# Of what the judge refuses, so many may have another number.
MOST_WRONG = 0.005
# Bytes of a directory before its tags, and of a tag.
DIRECTORY, LARGE_DIRECTORY = (2, 12), (8, 20)


class TiffRow(Row):
    def add(self, whole: bytes, mutant: bytes) -> None:
        """Judge a damaged file. Most of what the judge refuses without us is metadata, which changes no number."""
        self.mutants += 1
        expected, number = ours(whole), ours(mutant)
        wrong = number not in {None, expected}
        self.note("all", wrong)
        if is_sound(mutant):
            self.found += number is None
            return
        self.refused += 1
        if wrong:
            self.accepted += 1
            self.errors.append(abs((number or 0) - (expected or 0)))

    @property
    def failures(self) -> list[str]:
        """What should not be. A single one says nothing in a short run."""
        if self.accepted <= max(MOST_WRONG * self.refused, 1):
            return []
        counts = f"{self.accepted} of {self.refused}"
        return [f"{self.image_format}, {self.title}: {counts} that are damaged have another number"]


def is_sound(data: bytes) -> bool:
    """Whether the judge reads a file and has nothing to say of it."""
    with tempfile.NamedTemporaryFile(suffix=".tif") as file:
        file.write(data)
        file.flush()
        answer = asked([*JUDGE, file.name])
    return answer.returncode == 0 and not answer.stderr


def made() -> list[bytes]:
    found = []
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK"):
        picture = photo("RGB", (203, 151)).convert(mode)
        packed = ["jpeg"] if mode in {"L", "RGB", "CMYK"} else []
        for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", *packed):
            found += [encode(picture, "TIFF", compression=compression, strip_size=size) for size in (4096, 1 << 20)]
    for order in "<>":
        for packer in tiffs.PACKERS:
            samples = np.asarray(photo("L", (120, 90))).astype(int) * 257
            found.append(tiffs.image(samples, 16, compression=packer, rows=20, order=order, big=order == ">"))
    return found


def compression_of(data: bytes) -> str:
    return NAMES.get(read(data).compression, "deflate")


def sound_files() -> dict[str, dict[str, bytes]]:
    """By format and compression: those made here and those of the corpus, if both judges find them sound."""
    real = (file for file in sorted(CORPUS.rglob("*.tif*")) if file.is_file() and file.stat().st_size <= MOST_BYTES)
    files = [*made(), *(file.read_bytes() for file in real)]
    found: dict[str, dict[str, bytes]] = {f"TIFF {name}": {} for name in NAMES.values()}
    for number, data in enumerate(files):
        if detect(data) == "TIFF" and ours(data) is not None and is_sound(data):
            found[f"TIFF {compression_of(data)}"][str(number)] = data
    return found


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A TIFF cut, with a block of zeros, a bit flipped anywhere or in its directory, or bytes lost."""
    match chance.randrange(6):
        case 0:
            return data[: chance.randrange(8, len(data))]
        case 1:
            return zeroed(data, chance)
        case 2:
            return lost(data, chance)
        case 3:
            return flipped(data, in_directory(data, chance), chance)
    return flip_any(data, chance)


def in_directory(data: bytes, chance: random.Random) -> int:
    order, large = ("<" if data[:2] == b"II" else ">"), 43 in data[2:4]
    head, tag = LARGE_DIRECTORY if large else DIRECTORY
    (start,) = struct.unpack_from(f"{order}Q" if large else f"{order}I", data, 8 if large else 4)
    (count,) = struct.unpack_from(f"{order}Q" if large else f"{order}H", data, start)
    return int(start) + chance.randrange(head + tag * count)


def rows() -> list[TiffRow]:
    """A class of damage for each compression."""
    return [TiffRow("cut, zeros, bits flipped, bytes lost", f"TIFF {name}", damaged) for name in NAMES.values()]
