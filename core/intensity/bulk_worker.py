"""The code of a measuring process for objects: it reads some ahead while it measures, and rarely waits for S3."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from intensity import names
from intensity.rows import PROCESSOR_FAILED, problem_row
from intensity.sources.errors import FILE_TOO_LARGE, ObjectProblem, SourceError
from intensity.sources.fetch import content
from intensity.sources.objects import S3Object, read_name
from intensity.sources.store import READ_ATTEMPTS
from intensity.worker import ALARM_SECONDS, alarm, begin, content_row

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from types_boto3_s3 import S3Client

    from intensity.rows import Row
    from intensity.sources.errors import Content
    from intensity.sources.paths import Found
    from intensity.sources.store import Store
    from intensity.worker import Work

# So many objects a process has at a time: it measures one, and reads the others meanwhile.
AHEAD = 8
# In bytes. What is read ahead takes so much memory at most; one object is read whatever its size.
MOST_AHEAD = 64_000_000
# In bytes, for an object whose list does not say its size. If it is larger, it is read when it is its turn.
ASSUMED = 8_000_000
# After so many objects in a row that S3 did not give, a process does not ask for more.
MOST_FAILURES = 10


def serve(pipe: Connection, work: Work, store: Store) -> None:
    """Send None when ready, then a row for each object that comes, until the parent closes the pipe.

    Send a sentence instead of a row if no further object can be read.
    """
    begin()
    try:
        s3 = store.client(AHEAD, READ_ATTEMPTS)
        pipe.send(None)
        with ThreadPoolExecutor(AHEAD) as threads:
            try:
                Reader(pipe, work, s3, threads).all()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
    except SourceError as error:
        pipe.send(str(error))
    except (EOFError, OSError):
        # The parent has closed the pipe.
        return


class Reading(NamedTuple):
    """An object that is read ahead."""

    listed: S3Object
    content: Future[Content]


class Reader:
    """Reads and measures the objects that come through a pipe."""

    def __init__(self, pipe: Connection, work: Work, s3: S3Client, threads: ThreadPoolExecutor) -> None:
        """Nothing is read yet."""
        self._pipe, self._work, self._s3, self._threads = pipe, work, s3, threads
        self._coming: deque[S3Object] = deque()
        self._reading: deque[Reading] = deque()
        self._failures = 0

    def all(self) -> None:
        """Measure until the pipe is closed. Raises EOFError, OSError and SourceError."""
        while True:
            while self._pipe.poll(0 if self._coming or self._reading else None):
                file: Found = self._pipe.recv()
                self._coming.append(read_name(file.path)._replace(etag=file.etag, size=file.size))
            self._read_ahead()
            self._pipe.send(self._row(self._reading.popleft()))

    def _read_ahead(self) -> None:
        """Begin to read the objects that there is memory for, but at least one."""
        ahead = sum(_weight(reading.listed) for reading in self._reading)
        while self._coming:
            ahead += _weight(self._coming[0])
            if self._reading and ahead > MOST_AHEAD:
                return
            listed = self._coming.popleft()
            most = self._work.max_bytes if listed.size is not None else min(ASSUMED, self._work.max_bytes)
            self._reading.append(
                Reading(listed, self._threads.submit(content, self._s3, listed, most, self._work.reads_on))
            )

    def _row(self, reading: Reading) -> Row:
        """Return the row of an object. Raises SourceError."""
        name = names.written(reading.listed.name)
        with alarm(self._work.timeout + ALARM_SECONDS):
            try:
                read = self._content(reading)
            except ObjectProblem as problem:
                self._count(problem)
                return problem_row(name, problem.code, problem.detail, self._work.method)
            except MemoryError:
                detail = "There is not enough memory to read this object."
                return problem_row(name, PROCESSOR_FAILED, detail, self._work.method)
            self._failures = 0
            return content_row(name, read, self._work)

    def _content(self, reading: Reading) -> Content:
        """Return the bytes of an object. Raises ObjectProblem, SourceError and MemoryError."""
        try:
            return reading.content.result()
        except ObjectProblem as problem:
            if reading.listed.size is not None or problem.code != FILE_TOO_LARGE:
                raise
        return content(self._s3, reading.listed, self._work.max_bytes, self._work.reads_on)

    def _count(self, problem: ObjectProblem) -> None:
        """Count what S3 does not give. Raises SourceError if it gives nothing."""
        self._failures = self._failures + 1 if problem.code == PROCESSOR_FAILED else 0
        if self._failures >= MOST_FAILURES:
            raise SourceError(f"S3 did not give {MOST_FAILURES} objects in a row; the last: {problem.detail}")


def _weight(listed: S3Object) -> int:
    """Return how many bytes an object takes, as far as that is known."""
    return ASSUMED if listed.size is None else listed.size
