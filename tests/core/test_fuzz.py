"""Whatever the bytes are, the answer is a measurement that makes sense or a documented problem."""

from __future__ import annotations

import random

import pytest

from image_intensity import CorruptImage, MeasurementError, TooManyPixels, UnsupportedFormat
from tests.core.images import (
    GRAY,
    INDEXED,
    PNG_SIGNATURE,
    TRUECOLOR_ALPHA,
    apng,
    encode,
    mpo,
    photo,
    random_png,
    read_chunks,
    write_chunks,
)
from tests.core.samples import measurement_of

FILES = {
    "gray PNG": random_png((9, 7), 16, GRAY),
    "interlaced PNG": random_png((9, 7), 8, TRUECOLOR_ALPHA, interlaced=True),
    "palette PNG": random_png((9, 7), 4, INDEXED, transparent=True),
    "animated PNG": apng(photo("L", (8, 8)), photo("L", (8, 8), seed=1)),
    "gray JPEG": encode(photo("L", (24, 16)), "JPEG"),
    "JPEG": encode(photo("RGB", (24, 16)), "JPEG"),
    "progressive JPEG": encode(photo("RGB", (24, 16)), "JPEG", progressive=True),
    "JPEG with restarts": encode(photo("RGB", (48, 32)), "JPEG", restart_marker_blocks=1),
    "CMYK JPEG": encode(photo("CMYK", (24, 16)), "JPEG"),
    "two pictures": mpo(photo("RGB", (16, 16)), photo("RGB", (16, 16), seed=1)),
}
# What an image that is not empty can be refused with.
CODES = {error.code for error in (CorruptImage, TooManyPixels, UnsupportedFormat)}
MUTATIONS = 500
# Small enough for any header that damage makes to be measured quickly.
MAX_PIXELS = 200_000


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return `data` with one to four random changes: bits, bytes, cuts, copies."""
    file = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(file))
        match chance.randrange(7):
            case 0 | 1:
                file[place] ^= 1 << chance.randrange(8)
            case 2:
                file[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
            case 3:
                file[place:place] = chance.randbytes(chance.randint(1, 8))
            case 4:
                del file[place : place + chance.randint(1, 16)]
            case 5:
                source = chance.randrange(len(file))
                file[place:place] = file[source : source + chance.randint(1, 64)]
            case _:
                file[place : place + 2] = bytes((0xFF, chance.randrange(0xC0, 0x100)))
        if not file:
            break
    return bytes(file)


def repaired(data: bytes) -> bytes:
    """Return a damaged PNG with right checksums, so that the damage comes further than the first of them."""
    try:
        return write_chunks(read_chunks(data + bytes(12)))
    except Exception:  # noqa: BLE001 - beyond repair
        return data


def outcome(data: bytes) -> str:
    """Return the code of the problem, or "measured". Anything else raises."""
    try:
        measurement = measurement_of(data, max_pixels=MAX_PIXELS)
    except MeasurementError as problem:
        return problem.code
    assert 0 <= measurement.average_intensity <= 255
    assert measurement.pixel_count == measurement.image_size[0] * measurement.image_size[1] <= MAX_PIXELS
    return "measured"


@pytest.mark.parametrize("name", FILES)
def test_a_mutated_file_is_measured_or_refused_and_never_anything_else(name: str) -> None:
    chance = random.Random(name)
    data = FILES[name]
    outcomes = {outcome(data)}
    for _ in range(MUTATIONS):
        mutation = mutated(data, chance)
        outcomes.add(outcome(mutation))
        if data.startswith(PNG_SIGNATURE):
            outcomes.add(outcome(repaired(mutation)))

    # There are both kinds of mutations: harmless ones, and ones that are noticed.
    assert outcomes >= {"measured", "corrupt_image", "unsupported_format"}
    assert outcomes <= {"measured", *CODES}
