"""What others say of a file: for each format a strict program, and Pillow."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import warnings

import numpy as np
from PIL import Image

from image_intensity import FORMATS, Limits, MeasurementError, measure
from tests.core.images import GRAY

# Both read a file from a pipe and fail when they find damage: `djpeg -strict` at the first warning of libjpeg, and
# `pngtopnm` at an error of libpng. An eighth of the size takes djpeg a tenth of the time, and it leaves out no code.
COMMANDS = {
    "JPEG": ["djpeg", "-strict", "-scale", "1/8", "-outfile", "/dev/null"],
    "PNG": ["pngtopnm"],
    "WEBP": ["dwebp", "-quiet", "-pam", "-o", "-", "--", "-"],
}
# It reads the whole structure, of which `dwebp` passes over some. `dwebp` takes no animations.
WEBP_STRUCTURE = ["webpinfo", "-quiet", "-"]
PACKAGES = {"djpeg": "libjpeg-turbo-progs", "pngtopnm": "netpbm", "dwebp": "webp", "tiffinfo": "libtiff-tools"}
# What libpng says, and goes on, when it has all rows and then finds that their data or checksum is wrong.
DAMAGE = b"libpng warning: IDAT: in"
# What djpeg says first, and then nothing more, of the damage that is known to pass: up to seven bytes that are left at
# the end of the coded data (docs/measurement.md).
LEFT = re.compile(rb"Corrupt JPEG data: [1-7] extraneous bytes before marker 0xd9")
# The head of a file of netpbm: kind, width, height and, but for two colors, the highest value.
PORTABLE = re.compile(rb"(P[456])\s(\d+)\s(\d+)\s(?:(\d+)\s)?")
# The place of the color type in a PNG. Gray with alpha is measured in 8 bits.
COLOR_TYPE = 25
# A bit of the flags of a WebP.
ANIMATED = 0x02
# A damaged header can have any size in it.
MAX_PIXELS = 20_000_000
SECONDS = 20


def missing() -> list[str]:
    """The programs that this machine lacks, each with the Debian package that has it."""
    return [f"{name} (package {PACKAGES[name]})" for name in PACKAGES if not shutil.which(name)]


def asked(command: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """What a program says of a file. One that takes too long fails."""
    try:
        return subprocess.run(command, input=data, capture_output=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, b"", b"")


def strict(image_format: str, data: bytes) -> tuple[bool, float | None, bool]:
    """What the strict program says of a file.

    Returns: whether it accepts the file; for most PNGs and still WebPs, the average that libpng or libwebp has; whether
    all that is wrong is what is known to pass.
    """
    if image_format == "WEBP":
        return strict_webp(data)
    answer = asked(COMMANDS[image_format], data)
    sound = answer.returncode == 0 and DAMAGE not in answer.stderr
    number = libpng_average(answer.stdout, data) if sound and image_format == "PNG" else None
    return sound, number, not sound and bool(LEFT.search(answer.stderr))


def strict_webp(data: bytes) -> tuple[bool, float | None, bool]:
    """What `webpinfo` and, for a still picture, `dwebp` say of a file."""
    if asked(WEBP_STRUCTURE, data).returncode:
        return False, None, False
    if data[12:16] == b"VP8X" and data[20] & ANIMATED:
        return True, None, False
    answer = asked(COMMANDS["WEBP"], data)
    if answer.returncode:
        return False, None, False
    head, _, samples = answer.stdout.partition(b"ENDHDR\n")
    width, height = (int(number) for number in re.findall(rb"(?:WIDTH|HEIGHT) (\d+)", head))
    return True, average(Image.frombytes("RGBA", (width, height), samples).convert("RGB")), False


def libpng_average(portable: bytes, data: bytes) -> float | None:
    """The average of what pngtopnm writes of a PNG, or None where it has not the depth that we measure at."""
    kind, _, _, highest = PORTABLE.match(portable).groups()  # type: ignore[union-attr] # it writes nothing else
    if kind == b"P5" and highest == b"65535" and data[COLOR_TYPE] == GRAY:
        samples = np.frombuffer(portable, ">u2", offset=PORTABLE.match(portable).end())  # type: ignore[union-attr] # as above
        return float(samples.sum(dtype=np.int64)) / (257 * samples.size)
    if kind != b"P4" and highest != b"255":
        return None
    with Image.open(io.BytesIO(portable)) as image:
        return average(image)


def average(image: Image.Image) -> float:
    """The mean of the gray values of an image, or 16-bit gray at full depth."""
    if image.mode.startswith("I;16"):
        return int(np.asarray(image).sum(dtype=np.int64)) / (257 * image.width * image.height)
    return float(np.asarray(image.convert("L")).mean())


def pillow(data: bytes, max_pixels: int = MAX_PIXELS) -> float | None:
    """Pillow's number, or None when it refuses the file."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=tuple(FORMATS)) as image:
            warnings.simplefilter("ignore")
            return average(image) if image.width * image.height <= max_pixels else None
    except Exception:  # noqa: BLE001 - whatever it is, there is no number
        return None


def ours(data: bytes) -> float | None:
    try:
        return measure(data, limits=Limits(formats=tuple(FORMATS), max_pixels=MAX_PIXELS)).average_intensity
    except MeasurementError:
        return None
