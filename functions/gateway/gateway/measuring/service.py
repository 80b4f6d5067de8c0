"""Measuring an image: the cache may know its content, else the processor measures it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.invocation import Invocation, StoredImage
from contract.problems import ProblemError
from gateway.measuring.outcome import Outcome, Report
from gateway.measuring.records import REMEMBERED, Refusal

if TYPE_CHECKING:
    from gateway.measuring.cache import Cache
    from gateway.measuring.direct_uploads import DirectUploads, Offer, UploadRequest
    from gateway.measuring.outcome import CacheOutcome
    from gateway.measuring.processor_client import Processor
    from gateway.measuring.records import Record
    from gateway.settings import Settings
    from image_intensity import Measurement, Options


@dataclass(frozen=True, slots=True)
class Source:
    """An image to measure, and what differs between an image in the request and one in S3.

    sha256: of the content, hexadecimal. max_pixels: the limit. announced_size: bytes that the sender announced for an
    image in S3; None for an image in the request.
    """

    image: bytes | StoredImage
    sha256: str
    max_pixels: int
    announced_size: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes work with: the settings and the parts behind the gateway."""

    settings: Settings
    cache: Cache
    processor: Processor
    uploads: DirectUploads | None

    @property
    def max_upload_bytes(self) -> int:
        """The size of the largest direct upload; 0 if the service takes none."""
        return self.settings.max_upload_bytes if self.uploads else 0

    def measure(self, image: bytes | StoredImage, options: Options, request_id: str) -> Outcome:
        """Return the measurement of an image, or the error that came instead. Blocks; raises nothing."""
        report, sha256 = Report(), ""
        try:
            source = self.source(image, report)
            sha256 = source.sha256
            return Outcome(report, self.measure_source(source, options, request_id, report), sha256)
        except Exception as error:  # noqa: BLE001 - the caller raises it again, when it has the report
            return Outcome(report, error, sha256)

    def measure_source(self, source: Source, options: Options, request_id: str, report: Report) -> Measurement:
        """Return what the cache knows, or have the processor measure and remember that. Raises ProblemError."""
        report.cache, known = self.look_up(source, options, report)
        if isinstance(known, Refusal):
            raise known.error()
        if known:
            return known
        try:
            with report.timed("processor"):
                answer = self.processor.measure(self.invocation(source, options, request_id))
        except ProblemError as problem:
            if problem.code in REMEMBERED:
                self.remember(source, self.refusal(problem, source), options, report)
            raise
        if answer.complete:
            self.remember(source, answer.measurement, options, report)
        return answer.measurement

    def remember(self, source: Source, record: Record, options: Options, report: Report) -> None:
        """Have the cache keep a record, if it was asked before and answered."""
        if report.cache == "miss":
            with report.timed("cache"):
                report.cache_failures += not self.cache.put(source.sha256, record, options)

    def refusal(self, problem: ProblemError, source: Source) -> Refusal:
        """Return what to remember of a problem, with the limits that it depends on."""
        formats = self.settings.allowed_image_formats
        return Refusal(code=problem.code, detail=problem.detail, allowed_formats=formats, max_pixels=source.max_pixels)

    def offer_upload(self, uploads: DirectUploads, request: UploadRequest, options: Options) -> tuple[Offer, Report]:
        """Return a ticket for the announced file, and a form to upload it if its measurement is not known. Blocks.

        Raises ProblemError: empty_file, file_too_large.
        """
        report = Report()
        ticket = uploads.make_ticket(request, self.settings.max_upload_bytes)
        _, known = self.look_up(self.source(uploads.stored(ticket), report), options, report)
        measured = known and not isinstance(known, Refusal)
        return uploads.offer(ticket, None if measured else request.content_type), report

    def source(self, image: bytes | StoredImage, report: Report) -> Source:
        """Return the source of an image. Only here it matters whether the image is in the request or in S3."""
        if isinstance(image, StoredImage):
            return Source(image, image.sha256, self.settings.max_upload_pixels, image.size)
        with report.timed("hash"):
            sha256 = hashlib.sha256(image).hexdigest()
        return Source(image, sha256, self.settings.max_image_pixels)

    def invocation(self, source: Source, options: Options, request_id: str) -> Invocation:
        """Return the invocation that has the processor measure `source` within the limits of the settings."""
        return Invocation(
            image=source.image,
            allowed_formats=self.settings.allowed_image_formats,
            max_pixels=source.max_pixels,
            options=options,
            request_id=request_id,
        )

    def look_up(self, source: Source, options: Options, report: Report) -> tuple[CacheOutcome, Record | None]:
        """Return how the cache answered, and its record if that may be used. Blocks."""
        with report.timed("cache"):
            lookup = self.cache.get(source.sha256, options)
        report.cache_failures += lookup.failed
        if lookup.record and self.holds(lookup.record, source):
            return "hit", lookup.record
        return "miss" if lookup.outcome == "hit" else lookup.outcome, None

    def holds(self, record: Record, source: Source) -> bool:
        """Return whether a record says what would be said now.

        The limits may have changed. And a sender may announce the digest of a known file with another size: S3 will
        refuse that upload.
        """
        formats = self.settings.allowed_image_formats
        if isinstance(record, Refusal):
            return (record.allowed_formats, record.max_pixels) == (formats, source.max_pixels)
        return (
            source.announced_size in {None, record.image_size_bytes}
            and record.image_format in formats
            and record.pixel_count <= source.max_pixels
        )
