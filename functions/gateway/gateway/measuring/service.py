"""Measuring an image: the cache may know its content, else the processor measures it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.invocation import Invocation, StoredImage
from gateway.measuring.outcome import Outcome, Report

if TYPE_CHECKING:
    from gateway.measuring.cache import Cache
    from gateway.measuring.direct_uploads import DirectUploads, Offer, UploadRequest
    from gateway.measuring.outcome import CacheOutcome
    from gateway.measuring.processor_client import Processor
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
        if known:
            return known
        with report.timed("processor"):
            answer = self.processor.measure(self.invocation(source, options, request_id))
        if report.cache == "miss" and answer.complete:
            with report.timed("cache"):
                report.cache_failures += not self.cache.put(source.sha256, answer.measurement)
        return answer.measurement

    def offer_upload(self, uploads: DirectUploads, request: UploadRequest, options: Options) -> tuple[Offer, Report]:
        """Return a ticket for the announced file, and a form to upload it if its measurement is not known. Blocks.

        Raises ProblemError: empty_file, file_too_large.
        """
        report = Report()
        ticket = uploads.make_ticket(request, self.settings.max_upload_bytes)
        _, known = self.look_up(self.source(uploads.stored(ticket), report), options, report)
        return uploads.offer(ticket, None if known else request.content_type), report

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

    def look_up(self, source: Source, options: Options, report: Report) -> tuple[CacheOutcome, Measurement | None]:
        """Return how the cache answered, and its measurement if that may be used. Blocks."""
        with report.timed("cache"):
            lookup = self.cache.get(source.sha256, options)
        report.cache_failures += lookup.failed
        if lookup.measurement and self.allows(lookup.measurement, source):
            return "hit", lookup.measurement
        return "miss" if lookup.outcome == "hit" else lookup.outcome, None

    def allows(self, measurement: Measurement, source: Source) -> bool:
        """Return whether an image that was measured before would be measured now.

        The limits may have changed. And a sender may announce the digest of a known file with another size: S3 will
        refuse that upload.
        """
        return (
            source.announced_size in {None, measurement.image_size_bytes}
            and measurement.image_format in self.settings.allowed_image_formats
            and measurement.pixel_count <= source.max_pixels
        )
