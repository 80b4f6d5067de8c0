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

    from contract.invocation import Invocation
    from image_intensity import Measurement


def measure_large(invocation: Invocation, memory: int, progress: Callable[[float], None] | None = None) -> Measurement:
    """Measure the image of a job.

    memory: the most bytes for the file and its pixels. progress: see `storage.content`.
    Raises ProblemError: file_too_large and too_many_pixels where memory would not do, and as `measure_invocation`.
    """
    stored = invocation.image
    if isinstance(stored, StoredImage) and stored.size > memory:
        detail = f"The file has {stored.size:,} bytes; here, a job has {memory:,} bytes of memory for file and pixels."
        raise ProblemError(ProblemCode.FILE_TOO_LARGE, detail)
    image = content(stored, progress)
    image_format = detect(image)
    files = len(image) * (FORMATS[image_format].copies if image_format else 1)
    return measure_invocation(replace(invocation, image=image), max_decoded_bytes=max(0, memory - files))
