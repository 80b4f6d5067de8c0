"""What the processes of the slots do. They import this module, and so it has nothing of the gateway."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from contract.invocation import StoredImage
from contract.problems import ProblemCode, ProblemError
from image_intensity.slots import limit

if TYPE_CHECKING:
    from contract.invocation import Invocation
    from image_intensity import Measurement

# Of the images that decode into more bytes than this, one is measured at a time on the whole machine.
LARGE_BYTES = 256_000_000
# Not the name of a bucket: these files are in the folder of the run.
BUCKET = "(this machine)"


def load() -> None:
    import processor.handler  # noqa: F401, PLC0415 - only measuring processes have NumPy and the decoders


class NotSmallError(Exception):
    """An image takes more memory than the small ones may."""


def measure(invocation: Invocation, folder: Path, seconds: float, most: int | None = None) -> Measurement:
    """Measure one image. Raises ProblemError, and NotSmallError if it decodes into more than `most` bytes."""
    from processor.handler import measure_invocation  # noqa: PLC0415

    only_large = FileLock(folder / "large", timeout=seconds)

    def reserve(size: int) -> None:
        """Wait until no other image on this machine is large: that time is not this image's."""
        if most and size > most:
            raise NotSmallError
        if size > LARGE_BYTES:
            limit(None)
            only_large.acquire()
            limit(seconds)

    try:
        return measure_invocation(replace(invocation, image=content(invocation.image, folder)), reserve)
    except Timeout as error:
        raise ProblemError(ProblemCode.PROCESSOR_BUSY) from error
    finally:
        only_large.release()


def measure_job(invocation: Invocation, folder: Path) -> Measurement:
    """Measure the image of a job, in as much memory as half of the machine's. Raises ProblemError."""
    from processor.large import measure_large  # noqa: PLC0415

    return measure_large(replace(invocation, image=content(invocation.image, folder)), most_bytes())


def content(image: bytes | StoredImage, folder: Path) -> bytes | StoredImage:
    """Return the bytes of an image, but of one in S3. Raises ProblemError."""
    if isinstance(image, StoredImage) and image.bucket == BUCKET:
        try:
            return path_of(folder, image.key).read_bytes()
        except FileNotFoundError as error:
            raise ProblemError(ProblemCode.UPLOAD_MISSING) from error
    return image


def path_of(folder: Path, key: str) -> Path:
    """Return where a run keeps the upload with this key, which is from a signed form or ticket."""
    return folder / "uploads" / key.rpartition("/")[2]


def most_bytes() -> int:
    """Return half of the memory that this machine has, or that the container may use."""
    sizes = []
    with suppress(AttributeError, ValueError, OSError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ValueError, OSError):
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(sizes, default=8 << 30) // 2
