"""The facts about the first page of a TIFF file, before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from image_intensity import errors
from image_intensity.errors import UnsupportedFormat
from image_intensity.formats import Structure

if TYPE_CHECKING:
    from collections.abc import Iterator

# Photometric interpretations (TIFF 6.0, section 8).
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
# Compressions. The old number of deflate is the same data.
NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 7, 8, 32946, 32773
# Bits.
BYTE, DEEP = 8, 16
# Bytes of samples that are decoded at a time, if strips or tiles are not larger.
BAND_BYTES = 1 << 22
# Copies of a band in memory: the file that is made of it, and what libtiff decodes; one more for stored blocks.
BAND_COPIES = 2
# Bytes of a coefficient: libjpeg keeps all of a progressive JPEG.
COEFFICIENT_BYTES = 2

corrupt = partial(errors.corrupt, "TIFF")


@dataclass(slots=True)
class Tiff(Structure):
    """The first page of a file, of a kind that is measured.

    order: of the bytes of 16-bit samples. photometric, compression, predictor: as in TIFF. samples: for each pixel.
    extra: what those beyond the colors are. planar: whether the samples of each color are apart. palette: the values of
    its tag. tables: of JPEG. part: width and height of a tile or strip. tiled: whether there are tiles. parts: the
    content of each.
    """

    order: str = "<"
    photometric: int = BLACK_IS_ZERO
    compression: int = NONE
    predictor: int = 1
    samples: int = 1
    extra: tuple[int, ...] = ()
    planar: bool = False
    palette: list[int] = field(default_factory=list)
    tables: bytes = b""
    part: tuple[int, int] = (0, 0)
    tiled: bool = False
    parts: list[memoryview] = field(default_factory=list)

    @property
    def grid(self) -> tuple[int, int]:
        """How many strips or tiles there are side by side, and one below the other."""
        return -(-self.size[0] // self.part[0]), -(-self.size[1] // self.part[1])

    @property
    def planes(self) -> int:
        """How often the picture is stored, once for each sample or once for all."""
        return self.samples if self.planar else 1

    @property
    def deflated(self) -> bool:
        """Whether its compressed data is zlib streams."""
        return self.compression in {DEFLATE, OLD_DEFLATE}

    @property
    def row_bytes(self) -> int:
        return -(-self.part[0] * self.bit_depth * (1 if self.planar else self.samples) // 8)

    def part_rows(self, down: int) -> int:
        """Return the rows that a strip or tile has: all of its rows but for the last strip."""
        return self.part[1] if self.tiled else min(self.part[1], self.size[1] - down * self.part[1])

    def bands(self) -> Iterator[tuple[int, int]]:
        """Return the first row of strips or tiles of each band, and that of the next one."""
        across, down = self.grid
        row = self.part[1] * self.row_bytes * self.planes * across
        step = max(1, BAND_BYTES // row)
        return ((first, min(first + step, down)) for first in range(0, down, step))

    @property
    def decoded_bytes(self) -> int:
        across, down = self.grid
        if self.compression == JPEG:
            return self.part[0] * self.part[1] * (self.samples * COEFFICIENT_BYTES + (4 if self.samples > 1 else 1))
        row = self.part[1] * self.row_bytes * self.planes * across
        band = min(max(row, BAND_BYTES), row * down)
        pixels = band * BYTE // self.bit_depth // self.samples
        # In Pillow, a gray value of up to 8 bits takes a byte, one of more takes two, and a color four.
        memory = pixels * (4 if self.samples > 1 else 2 if self.bit_depth > BYTE else 1)
        return memory + band * (BAND_COPIES + (self.deflated and self.predictor > 1))


def unsupported(kind: str, instead: str) -> NoReturn:
    raise UnsupportedFormat(f"This is a TIFF {kind}, which is not measured. {instead}")
