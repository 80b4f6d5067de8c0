"""What others say of a file: for each format a strict program, and Pillow."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings

import numpy as np
from PIL import Image

from image_intensity import Limits, MeasurementError, measure

# Both read a file from a pipe and fail when they find damage: `djpeg -strict` at the first warning of libjpeg, and
# `pngtopnm` at an error of libpng. An eighth of the size takes djpeg a tenth of the time, and it leaves out no code.
COMMANDS = {"JPEG": ["djpeg", "-strict", "-scale", "1/8", "-outfile", "/dev/null"], "PNG": ["pngtopnm"]}
PACKAGES = {"djpeg": "libjpeg-turbo-progs", "pngtopnm": "netpbm"}
# Damage to a header can name any size.
MAX_PIXELS = 20_000_000
SECONDS = 20


def missing() -> list[str]:
    """The programs that this machine lacks, each with the Debian package that has it."""
    return [f"{name} (package {PACKAGES[name]})" for name, *_ in COMMANDS.values() if not shutil.which(name)]


def strict(image_format: str, data: bytes) -> tuple[bool, float | None]:
    """Whether the strict program accepts a file, and for a PNG of 8 bits or less the average that libpng has."""
    try:
        answer = subprocess.run(COMMANDS[image_format], input=data, capture_output=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return False, None
    if answer.returncode or image_format == "JPEG":
        return answer.returncode == 0, None
    with Image.open(io.BytesIO(answer.stdout)) as image:
        # Other modes have 16 bits: of colors, Pillow and we take the upper eight.
        return True, average(image) if image.mode in {"1", "L", "RGB"} else None


def average(image: Image.Image) -> float:
    """The mean of the gray values of an image, or 16-bit gray at full depth."""
    if image.mode.startswith("I;16"):
        return int(np.asarray(image).sum(dtype=np.int64)) / (257 * image.width * image.height)
    return float(np.asarray(image.convert("L")).mean())


def pillow(data: bytes) -> float | None:
    """Pillow's number, or None when it refuses the file."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            warnings.simplefilter("ignore")
            return average(image) if image.width * image.height <= MAX_PIXELS else None
    except Exception:  # noqa: BLE001 - whatever it is, there is no number
        return None


def ours(data: bytes) -> float | None:
    """Our number, or None when the file is refused."""
    try:
        return measure(data, limits=Limits(max_pixels=MAX_PIXELS)).average_intensity
    except MeasurementError:
        return None
