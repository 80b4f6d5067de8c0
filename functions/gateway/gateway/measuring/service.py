"""Measuring an image: the cache may know its content, else the processor measures it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.invocation import Invocation, StoredImage
from contract.problems import ProblemCode, ProblemError
from gateway.measuring.outcome import Outcome
from gateway.measuring.processor_client import TimeUsedUpError
from gateway.measuring.records import OF_THE_FILE, Refusal
from image_intensity import Measurement

if TYPE_CHECKING:
    from contract.jobs import Job
    from gateway.measuring.cache import Cache
    from gateway.measuring.direct_uploads import DirectUploads, Offer, UploadRequest
    from gateway.measuring.jobs import Found, Jobs
    from gateway.measuring.outcome import CacheOutcome, Report
    from gateway.measuring.processor_client import Answer, Processor
    from gateway.measuring.records import Record
    from gateway.settings import Settings
    from image_intensity import Options


# Hashing this many bytes takes 0.4 ms with the CPU's instructions for SHA-256, and 2 ms without. A change of thread
# takes 0.1 ms. Larger files are hashed on a thread, and other requests go on meanwhile.
HASHED_AT_ONCE_BYTES = 512 * 1024

# The content of a file, or where it is in S3.
Image = bytes | bytearray | memoryview | StoredImage


@dataclass(frozen=True, slots=True)
class Source:
    """An image to measure, and what differs between an image in the request and one in S3.

    sha256: of the content, hexadecimal. max_pixels: the limit. announced_size: bytes that the sender announced for an
    image in S3; None for an image in the request.
    """

    image: Image
    sha256: str
    max_pixels: int
    announced_size: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes ask. Limits in `settings` are 0 for what the service does not offer."""

    settings: Settings
    cache: Cache
    processor: Processor
    uploads: DirectUploads | None
    jobs: Jobs | None = None

    async def measure(self, image: Image, options: Options, report: Report) -> Outcome:
        """Return what the cache knows, or have the processor measure and remember that. Raises ProblemError."""
        source = await self.source(image, report)
        report.cache, known = await self.look_up(source, options, report)
        if isinstance(known, Refusal):
            raise known.error()
        if known:
            return Outcome(known, source.sha256)
        try:
            with report.timed("processor"):
                answer = await self.processor.measure(self.invocation(source, options, report))
        except ProblemError as problem:
            if isinstance(problem, TimeUsedUpError) or problem.code in OF_THE_FILE:
                await self.remember(source, self.refusal(problem, source), options, report)
            raise
        if answer.complete:
            await self.remember(source, answer.measurement, options, report)
        return Outcome(answer.measurement, source.sha256)

    async def remember(self, source: Source, record: Record, options: Options, report: Report) -> None:
        if report.cache == "miss":
            with report.timed("cache"):
                report.cache_failures += not await self.cache.put(source.sha256, record, options)

    def refusal(self, problem: ProblemError, source: Source) -> Refusal:
        formats = self.settings.allowed_image_formats
        return Refusal(code=problem.code, detail=problem.detail, allowed_formats=formats, max_pixels=source.max_pixels)

    async def offer_upload(
        self, uploads: DirectUploads, request: UploadRequest, options: Options, report: Report
    ) -> Offer:
        """Return a ticket for the announced file, and a form to upload it if its measurement is not known.

        Raises ProblemError: empty_file, file_too_large.
        """
        ticket = uploads.make_ticket(request, max(self.settings.max_upload_bytes, self.settings.max_job_bytes))
        source = self.ticket_source(uploads.stored(ticket))
        _, known = await self.look_up(source, options, report)
        measured = known and not isinstance(known, Refusal)
        # On a thread, since the first offer makes the client of S3.
        return await asyncio.to_thread(uploads.offer, ticket, None if measured else request.content_type)

    async def source(self, image: Image, report: Report) -> Source:
        """Return the source of an image. Only here it matters whether the image is in the request or in S3."""
        if isinstance(image, StoredImage):
            if image.size > self.settings.max_upload_bytes:
                raise too_large_for_a_request(self.settings.max_upload_bytes)
            return Source(image, image.sha256, self.settings.max_upload_pixels, image.size)
        with report.timed("hash"):
            sha256 = await digest(image)
        return Source(image, sha256, self.settings.max_image_pixels)

    def ticket_source(self, image: StoredImage) -> Source:
        """Return the source of an uploaded image that a job may measure, if there are jobs."""
        pixels = max(self.settings.max_upload_pixels, self.settings.max_job_pixels)
        return Source(image, image.sha256, pixels, image.size)

    async def start_job(self, jobs: Jobs, filename: str, image: StoredImage, options: Options, report: Report) -> Found:
        """Return the job for an upload, which is begun if it is new. Raises ProblemError."""
        source = self.ticket_source(image)
        report.cache, known = await self.look_up(source, options, report)
        measurement = None if isinstance(known, Refusal) else known
        if known and not measurement:
            # Of a request, under the same limit on pixels. A job has more time and memory, and is begun.
            report.cache = "miss"
        with report.timed("job"):
            return await jobs.start(filename, self.invocation(source, options, report), image, measurement)

    async def job_outcome(self, job: Job, answer: Answer, report: Report) -> Outcome:
        """Return the measurement of a finished job. The cache has it from now on, if it did not have it before."""
        with report.timed("cache"):
            lookup = await self.cache.get(job.sha256, job.options)
            report.cache_failures += lookup.failed
            # A refusal may be there: the image was too large for a request.
            has_it = lookup.record and not isinstance(lookup.record, Refusal)
            if answer.complete and lookup.outcome != "bypass" and not has_it:
                report.cache_failures += not await self.cache.put(job.sha256, answer.measurement, job.options)
        return Outcome(answer.measurement, job.sha256)

    def invocation(self, source: Source, options: Options, report: Report) -> Invocation:
        """Return the invocation that has the processor measure `source` within the limits of the settings."""
        image = source.image
        return Invocation(
            image=image if isinstance(image, StoredImage) else bytes(image),
            allowed_formats=self.settings.allowed_image_formats,
            max_pixels=source.max_pixels,
            options=options,
            request_id=report.request_id,
        )

    async def look_up(self, source: Source, options: Options, report: Report) -> tuple[CacheOutcome, Record | None]:
        """Return how the cache answered, and its record if that may be used."""
        with report.timed("cache"):
            lookup = await self.cache.get(source.sha256, options)
        report.cache_failures += lookup.failed
        if lookup.record and self.holds(lookup.record, source):
            return "hit", lookup.record
        if isinstance(lookup.record, Measurement) and self.is_beyond(lookup.record, source):
            return "hit", self.refusal(beyond(lookup.record, source.max_pixels), source)
        return "miss" if lookup.outcome == "hit" else lookup.outcome, None

    def holds(self, record: Record, source: Source) -> bool:
        """Return whether a record says what would be said now.

        The limits may have changed. And a sender may announce the digest of a known file with another size: S3 will
        refuse that upload.
        """
        formats = self.settings.allowed_image_formats
        if isinstance(record, Refusal):
            return (record.allowed_formats, record.max_pixels) == (formats, source.max_pixels)
        width, height = record.image_size
        return (
            source.announced_size in {None, record.image_size_bytes}
            and record.image_format in formats
            and width * height <= source.max_pixels
        )

    def is_beyond(self, record: Measurement, source: Source) -> bool:
        """Return whether a job has measured this upload, and it has too many pixels for a request.

        Then it may be that nothing was uploaded, because the measurement is known: the processor cannot be asked.
        """
        return (
            source.announced_size == record.image_size_bytes
            and record.image_format in self.settings.allowed_image_formats
            and self.jobs is not None
        )


def beyond(record: Measurement, limit: int) -> ProblemError:
    width, height = record.image_size
    detail = f"The image has {width} x {height} = {width * height:,} pixels; at most {limit:,} are measured."
    return ProblemError(ProblemCode.TOO_MANY_PIXELS, detail)


def too_large_for_a_request(limit: int) -> ProblemError:
    detail = f"The file is larger than {limit:,} bytes, the most that is measured while you wait. POST /jobs takes it."
    return ProblemError(ProblemCode.FILE_TOO_LARGE, detail)


async def digest(content: bytes | bytearray | memoryview) -> str:
    if len(content) <= HASHED_AT_ONCE_BYTES:
        return hashlib.sha256(content).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, content)).hexdigest()
