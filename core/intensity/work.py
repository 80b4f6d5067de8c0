"""From a file or an object to its row, in the process that measures it. Some are read ahead."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import image_intensity
from image_intensity import MeasurementError, TooManyPixels, detect
from intensity import names
from intensity.rows import FILE_TOO_LARGE, PROCESSOR_FAILED, measured_row, problem_row
from intensity.sources.errors import Content, ReadProblem, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from image_intensity import Limits
    from intensity.rows import Method, Row
    from intensity.sources.paths import Found

# What is read ahead takes so many bytes at most.
MOST_AHEAD = 64_000_000
# In bytes, for what does not say its size. If it is larger, it is read when it is to be measured.
ASSUMED = 8_000_000
# After so many in a row that a source did not give, a process does not ask for more.
MOST_FAILURES = 10


class Source(Protocol):
    """What is read: files or objects. It is sent to the processes."""

    @property
    def ahead(self) -> int:
        """How many are read while another one is measured."""

    def reading(self, reads_on: Callable[[bytes], bool]) -> Callable[[Found, int], Content]:
        """Return what reads one, of at most so many bytes; it raises ReadProblem or SourceError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How to measure each. max_bytes: longer files are not read. noun: file, or object."""

    method: Method
    limits: Limits
    full: bool
    max_bytes: int
    noun: str = "file"

    def reads_on(self, head: bytes) -> bool:
        """Return whether content that begins so may be an image."""
        return detect(head) in self.limits.formats

    def row(self, found: Found, content: Content) -> Row:
        known: dict[str, Any] = {"image_size_bytes": content.size}
        if len(content.data) == content.size:
            known["sha256"] = hashlib.sha256(content.data).hexdigest()
        try:
            measurement = image_intensity.measure(content.data, self.method.options, self.limits)
            return measured_row(names.written(found.path), measurement, known["sha256"], self.method, full=self.full)
        except TooManyPixels as error:
            code, detail = error.code, f"{error.detail.removesuffix('.')} (--max-pixels)."
        except MeasurementError as error:
            code, detail = error.code, error.detail
        except MemoryError:
            code, detail = PROCESSOR_FAILED, "There is not enough memory to measure this image."
        except Exception as error:  # noqa: BLE001 - a bug must cost one row and not the run
            code, detail = PROCESSOR_FAILED, f"Measuring this {self.noun} failed: {type(error).__name__}: {error}"
        return self.problem(found, code, detail, **known)

    def problem(self, found: Found, code: str, detail: str, **known: Any) -> Row:  # noqa: ANN401 - any field
        """Return the row of what has no number. `known`: `image_size_bytes` and `sha256`, if it was read."""
        return problem_row(names.written(found.path), code, detail, self.method, full=self.full, **known)


class Measuring:
    """Reads and measures one after the other, and reads some ahead meanwhile."""

    def __init__(self, source: Source, work: Work, most_failures: int = MOST_FAILURES) -> None:
        """Nothing is read yet. Raises SourceError if nothing can be read."""
        self._work, self._read, self._most_failures = work, source.reading(work.reads_on), most_failures
        self._threads = ThreadPoolExecutor(source.ahead) if source.ahead else None
        self._reading: dict[bytes, Future[Content]] = {}
        self._failures = 0

    def row(self, found: Found, ahead: Sequence[Found] = ()) -> Row:
        """Return the row of one; its problems are in it. `ahead`: the next ones. Raises SourceError."""
        if self._threads:
            self._read_ahead(ahead, self._threads)
        try:
            content = self._content(found)
        except ReadProblem as problem:
            self._count(problem)
            return self._work.problem(found, problem.code, problem.detail)
        except MemoryError:
            detail = f"There is not enough memory to read this {self._work.noun}."
            return self._work.problem(found, PROCESSOR_FAILED, detail)
        self._failures = 0
        return self._work.row(found, content)

    def _read_ahead(self, ahead: Sequence[Found], threads: ThreadPoolExecutor) -> None:
        """Begin to read the next ones that there is memory for."""
        held = 0
        for found in ahead:
            held += ASSUMED if found.size is None else found.size
            if held > MOST_AHEAD:
                return
            if found.path not in self._reading:
                most = min(ASSUMED, self._work.max_bytes) if found.size is None else self._work.max_bytes
                self._reading[found.path] = threads.submit(self._read, found, most)

    def _content(self, found: Found) -> Content:
        """Return the content of one. Raises ReadProblem, SourceError and MemoryError."""
        if found.problem:
            raise ReadProblem(*found.problem)
        if reading := self._reading.pop(found.path, None):
            try:
                return reading.result()
            except ReadProblem as problem:
                if found.size is not None or problem.code != FILE_TOO_LARGE:
                    raise
        return self._read(found, self._work.max_bytes)

    def _count(self, problem: ReadProblem) -> None:
        """Count what the source does not give. Raises SourceError if it gives nothing."""
        self._failures = self._failures + 1 if problem.code == PROCESSOR_FAILED else 0
        if self._failures >= self._most_failures:
            raise SourceError(f"S3 did not give {self._failures} objects in a row; the last: {problem.detail}")
