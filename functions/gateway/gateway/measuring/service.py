"""Measuring an upload: by what is known of its content, else by the processor."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from contract.invocation import StoredImage

if TYPE_CHECKING:
    from gateway.http.request_log import CacheOutcome, RequestLog
    from gateway.measuring.cache import Cache
    from gateway.measuring.direct_uploads import Uploads
    from gateway.measuring.processor_client import Processor
    from gateway.settings import Settings
    from image_intensity import Measurement, Options


class Measured(NamedTuple):
    """A measurement, and the SHA-256 (hexadecimal) of the content that it is of."""

    measurement: Measurement
    sha256: str


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes work with."""

    settings: Settings
    cache: Cache
    processor: Processor
    uploads: Uploads | None

    @property
    def max_upload_bytes(self) -> int:
        """The largest file that can be uploaded directly, 0 where none can."""
        return self.settings.max_upload_bytes if self.uploads else 0

    def measure(self, image: bytes | StoredImage, options: Options, log: RequestLog) -> Measured:
        """Return the measurement of an image, from the cache if it is there. Raises ProblemError. Blocks."""
        if isinstance(image, StoredImage):
            sha256 = image.sha256
        else:
            with log.timed("hash"):
                sha256 = hashlib.sha256(image).hexdigest()
        log.cache, known = self.look_up(image, sha256, options, log)
        if known:
            return Measured(known, sha256)
        with log.timed("processor"):
            measurement = self.processor.measure(image, options)
        if log.cache == "miss":
            with log.timed("cache"):
                log.cache_failures += not self.cache.put(sha256, measurement)
        return Measured(measurement, sha256)

    def look_up(
        self, image: bytes | StoredImage, sha256: str, options: Options, log: RequestLog
    ) -> tuple[CacheOutcome, Measurement | None]:
        """Return how the cache answered, and what it has of an image where that still holds. Blocks."""
        with log.timed("cache"):
            lookup = self.cache.get(sha256, options)
        log.cache_failures += lookup.failed
        if lookup.measurement and self.allows(lookup.measurement, image):
            return "hit", lookup.measurement
        return "miss" if lookup.outcome == "hit" else lookup.outcome, None

    def allows(self, measurement: Measurement, image: bytes | StoredImage) -> bool:
        """Tell whether an image that was measured before would be measured now: the limits may have changed since."""
        if isinstance(image, StoredImage) and measurement.image_size_bytes != image.size:
            # Announced with a size that the file with this digest has not; S3 will not take it.
            return False
        return (
            measurement.image_format in self.settings.allowed_image_formats
            and measurement.pixel_count <= self.settings.max_pixels(stored=isinstance(image, StoredImage))
        )
