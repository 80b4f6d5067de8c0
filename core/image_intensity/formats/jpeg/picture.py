"""The facts about the first picture in a JPEG file (ITU-T T.81), before it is decoded."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial

from image_intensity import errors
from image_intensity.errors import CorruptImage
from image_intensity.formats import Structure
from image_intensity.formats.jpeg import SIGNATURE

# Markers (T.81, table B.1), by their second byte.
TEM, RST0, SOI, EOI, SOS, DRI, COM = 0x01, 0xD0, 0xD8, 0xD9, 0xDA, 0xDD, 0xFE
DHT = 0xC4
APP0, APP2, APP14, APP15 = 0xE0, 0xE2, 0xEE, 0xEF
# Frames that are decoded: baseline, extended sequential and progressive, Huffman coded.
PROGRESSIVE = 0xC2
DECODABLE_FRAMES = {0xC0, 0xC1, PROGRESSIVE}
# Markers of other kinds of frames. JPEG-LS (T.87) has one of its own. A hierarchical file begins with DHP.
OTHER_FRAMES = {
    0xC3: "a lossless JPEG",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE), "a hierarchical JPEG"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB), "an arithmetic-coded JPEG"),
    0xF7: "a JPEG-LS file",
}
COEFFICIENTS, COEFFICIENT_BYTES = 64, 2
# Marks a coefficient that no scan has had yet. Others have a bit position from 0 to 15.
UNSEEN = 0xFF
FILL = b"\xff"
# How much coded data is searched at a time, because every other byte may be part of a restart marker.
DATA_BYTES = 1 << 18
# libjpeg's message if there is no memory.
NO_MEMORY = "memory"
# A restart interval has 16 bits.
MOST_INTERVAL = 0xFFFF

corrupt = partial(errors.corrupt, "JPEG")


@dataclass(slots=True)
class Jpeg(Structure):
    """The first picture of a file.

    frame: its SOF marker. ids: of the components, which are counted from 0 here.
    sampling: horizontal and vertical factor of each. restart_interval: in MCUs, 0 for none. restarts: restart markers
    in all scans. scans: the components of each. passes: coefficients that the scans go over, in all. low_bits: by
    component, for each coefficient that a scan header can name, the bit position down to which the scans so far have
    it. transform: the color transform that an Adobe segment names. essentials: the file again without EXIF, ICC
    profiles, previews, comments, fill bytes and further pictures. data: where in it the data of each scan starts and
    ends.
    """

    frame: int = 0
    ids: bytes = b""
    sampling: list[tuple[int, int]] = field(default_factory=list)
    restart_interval: int = 0
    restarts: int = 0
    scans: list[tuple[int, ...]] = field(default_factory=list)
    passes: int = 0
    low_bits: dict[int, bytearray] = field(default_factory=lambda: defaultdict(lambda: bytearray([UNSEEN] * 256)))
    transform: int = 0
    data: list[tuple[int, int]] = field(default_factory=list)
    essentials: bytearray = field(default_factory=lambda: bytearray(SIGNATURE[:2]))

    @property
    def decoded_bytes(self) -> int:
        """Memory that decoding takes: the pixels, in one or four bytes each, and what libjpeg keeps to make them of.

        It keeps every coefficient of a progressive JPEG, and of one that has its components in several scans.
        """
        width, height = self.size
        pixels = width * height * (1 if len(self.sampling) == 1 else 4)
        if self.frame != PROGRESSIVE and len(self.scans[0]) == len(self.sampling):
            return pixels
        blocks = sum(self.mcus((component,)) for component in self.components)
        return pixels + blocks * COEFFICIENTS * COEFFICIENT_BYTES

    def mcus(self, components: tuple[int, ...]) -> int:
        """Return how many minimum coded units a scan of these components has (T.81, A.2)."""
        if len(components) > 1:
            columns, rows = self.mcu_grid
            return columns * rows
        width, height = self.component_size(components[0])
        return -(-width // 8) * -(-height // 8)

    @property
    def components(self) -> range:
        return range(len(self.sampling))

    @property
    def largest_sampling(self) -> tuple[int, int]:
        horizontal, vertical = zip(*self.sampling, strict=True)
        return max(horizontal), max(vertical)

    @property
    def mcu_grid(self) -> tuple[int, int]:
        """Columns and rows of the MCUs of a scan of several components."""
        across, down = self.largest_sampling
        return -(-self.size[0] // (8 * across)), -(-self.size[1] // (8 * down))

    def component_size(self, component: int) -> tuple[int, int]:
        """Return the width and height of a component in samples (T.81, A.1.1)."""
        (width, height), (across, down) = self.size, self.largest_sampling
        horizontal, vertical = self.sampling[component]
        return -(-width * horizontal // across), -(-height * vertical // down)


def damage(error: ValueError) -> CorruptImage | MemoryError:
    """Return what an error of `simplejpeg` means."""
    message = str(error)
    return MemoryError(message) if NO_MEMORY in message.lower() else CorruptImage(f"This JPEG is damaged: {message}.")
