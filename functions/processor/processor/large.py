"""Images of jobs: the file and its pixels together have to fit into memory, and what does not fit is refused before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from contract.invocation import StoredImage
from contract.problems import ProblemCode, ProblemError
from image_intensity import FORMATS, detect
from processor.handler import measure_invocation
from processor.storage import content

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_s3 import S3Client

    from contract.invocation import Invocation
    from image_intensity import Measurement


def measure_large(
    invocation: Invocation,
    memory: int,
    progress: Callable[[float], None],
    reserve: Callable[[int], None] | None = None,
    connect: Callable[[], S3Client] | None = None,
) -> Measurement:
    """Measure the image of a job.

    memory: the most bytes for the file and its pixels. progress, connect: see `storage.content`. reserve: is called
    with the bytes for both before decoding begins. Raises ProblemError: file_too_large and too_many_pixels where
    memory would not do, and as `measure_invocation`.
    """
    stored = invocation.image
    if isinstance(stored, StoredImage) and stored.size > memory:
        detail = f"The file has {stored.size:,} bytes; here, a job has {memory:,} bytes of memory for file and pixels."
        raise ProblemError(ProblemCode.FILE_TOO_LARGE, detail)
    image = content(stored, connect, progress)
    image_format = detect(image)
    files = len(image) * (FORMATS[image_format].copies if image_format else 1)
    hold = (lambda size: reserve(size + files)) if reserve else None
    return measure_invocation(replace(invocation, image=image), hold, max(0, memory - files))
