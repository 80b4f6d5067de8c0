"""Whether the coded data of a CMYK JPEG is sound, with a sampling that TurboJPEG does not take: as pictures in gray.

Which codes a decoder reads depends on the Huffman tables and on the order of the blocks, and not on colors. The scans
that have one component alone are those of a gray picture of this component. A scan of several components is a gray
picture of all their blocks, one after the other, if they have the same tables. So `simplejpeg` can decode the data in
strict mode, at an eighth of the size. The pixels that come of it mean nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import simplejpeg

from image_intensity.formats.jpeg import SIGNATURE
from image_intensity.formats.jpeg.picture import DHT, DRI, MOST_INTERVAL, PROGRESSIVE, SOS, damage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_intensity.formats.jpeg.picture import Jpeg

# The longest side that TurboJPEG takes is 65,500 pixels. A block has eight.
MOST_BLOCKS = 65_500 // 8
# A quantization table of ones, because the values of pixels do not matter.
QUANTIZATION = b"\xff\xdb\x00\x43\x00" + b"\x01" * 64
# A Huffman table, of one code: the bit 0 says that a block differs by nothing from the one before.
NO_DIFFERENCE = b"\x01" + bytes(15) + b"\x00"
END = b"\xff\xd9"
# The class of a Huffman table, in the high half of its number.
DC, AC = 0x00, 0x10


class Scan(NamedTuple):
    """A scan.

    tables: the Huffman tables that are set, by class and number. interval: of restart markers, in MCUs, 0 for none.
    selectors: for each component, the numbers of its two tables. parameters: first and last coefficient, and bits.
    """

    components: tuple[int, ...]
    selectors: bytes
    parameters: bytes
    tables: dict[int, bytes]
    interval: int
    data: memoryview

    def table(self, kind: int) -> bytes | None:
        """Return the table of this class that all components have, if they have the same."""
        numbers = {selector >> 4 if kind == DC else selector & 0x0F for selector in self.selectors}
        found = {self.tables.get(kind | number) for number in numbers}
        return found.pop() if len(found) == 1 else None

    def kinds(self, frame: int) -> tuple[int, ...]:
        """Return the classes of the tables that its codes are from. The bits that refine DC are no codes."""
        first, _, bits = self.parameters
        if frame != PROGRESSIVE:
            return DC, AC
        return (AC,) if first else () if bits >> 4 else (DC,)


def check_scans_as_gray(picture: Jpeg) -> None:
    """Raise CorruptImage if a scan does not decode without a warning. A scan that is no gray picture is left out."""
    # By set, so that a hostile file has fifteen groups at most.
    groups: dict[frozenset[int], list[Scan]] = {}
    for scan in scans(picture):
        groups.setdefault(frozenset(scan.components), []).append(scan)
    for group in groups.values():
        if file := gray(picture, group):
            try:
                simplejpeg.decode_jpeg(file, "GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
            except ValueError as error:
                raise damage(error) from error


def scans(picture: Jpeg) -> Iterator[Scan]:
    file, data = picture.essentials, memoryview(picture.essentials)
    position, interval, tables = 2, 0, dict[int, bytes]()
    for components, (start, end) in zip(picture.scans, picture.data, strict=True):
        while position < start:
            marker, length_at = file[position + 1], position + 2
            following = length_at + int.from_bytes(file[length_at : length_at + 2], "big")
            header = bytes(file[position + 4 : following])
            if marker == DHT:
                tables = tables | dict(huffman_tables(header))
            elif marker == DRI:
                interval = int.from_bytes(header[:2], "big")
            position = following
        # The last segment in front of the data is the header of the scan.
        selectors, parameters = header[2 : 1 + 2 * len(components) : 2], header[1 + 2 * len(components) :][:3]
        yield Scan(components, selectors, parameters, tables, interval, data[start:end])
        position = end


def huffman_tables(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the class and number, and the lengths and values, of each table in a DHT segment (T.81, B.2.4.2)."""
    while content:
        size = 17 + sum(content[1:17])
        yield content[0], content[1:size]
        content = content[size:]


def gray(picture: Jpeg, group: list[Scan]) -> bytearray | None:
    """Return the scans of a group, which have the same components, as a gray JPEG; None if they are none.

    They are none if their components have different tables, or blocks or restart intervals are too many.
    """
    components = group[0].components
    if len(components) == 1:
        blocks, (width, height) = 1, picture.component_size(components[0])
    else:
        blocks = sum(across * down for across, down in (picture.sampling[component] for component in components))
        columns, rows = picture.mcu_grid
        wide = columns * blocks <= MOST_BLOCKS
        width, height = (8 * columns * blocks, 8 * rows) if wide else (8 * columns, 8 * rows * blocks)
    if max(width, height) > 8 * MOST_BLOCKS:
        return None
    total = picture.mcus(components) * blocks
    frame = struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)
    file = bytearray(SIGNATURE[:2] + QUANTIZATION + segment(picture.frame, frame))
    if picture.frame == PROGRESSIVE:
        # The scans that begin DC may be in another group. libjpeg warns if there are none before those that refine it.
        before = next((scan.parameters[2] >> 4 for scan in group if not scan.parameters[0]), 0)
        file += segment(DHT, bytes([DC]) + NO_DIFFERENCE) + scan_header(bytes([0, 0, before])) + bytes(-(-total // 8))
    for scan in group:
        interval = restart_interval(scan, picture.mcus(components), blocks)
        tables = {kind: scan.table(kind) for kind in scan.kinds(picture.frame)}
        if interval is None or None in tables.values():
            return None
        file += b"".join(segment(DHT, bytes([kind]) + (table or b"")) for kind, table in tables.items())
        file += segment(DRI, interval.to_bytes(2, "big")) + scan_header(scan.parameters)
        file += scan.data
    return file + END


def restart_interval(scan: Scan, mcus: int, blocks: int) -> int | None:
    """Return the restart interval in gray blocks, of a scan with so many MCUs of so many blocks; None if too long.

    Where no restart marker is due, libjpeg-turbo decodes with an interval in its slower way, which warns of all codes
    that do not exist (see `checking_interval`).
    """
    if not 0 < scan.interval < mcus:
        return MOST_INTERVAL if mcus * blocks <= MOST_INTERVAL else 0
    return scan.interval * blocks if scan.interval * blocks <= MOST_INTERVAL else None


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def scan_header(parameters: bytes) -> bytes:
    """Return the header of a scan of the one component."""
    return segment(SOS, b"\x01\x01\x00" + parameters)
