"""Measuring an upload: by what is known of its content, else by the processor."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from contract.measurement import Measurement, Options
    from gateway.cache import Cache
    from gateway.processor_client import Processor
    from gateway.request import RequestLog
    from gateway.settings import Settings


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

    def measure(self, content: bytes, options: Options, log: RequestLog) -> Measured:
        """Return the measurement of `content`, from the cache if it is there. Raises ProblemError. Blocks."""
        with log.timed("hash"):
            sha256 = hashlib.sha256(content).hexdigest()
        with log.timed("cache"):
            lookup = self.cache.get(sha256, options)
        log.cache = lookup.outcome
        log.cache_failures += lookup.failed
        if lookup.measurement and self.allows(lookup.measurement):
            return Measured(lookup.measurement, sha256)
        if lookup.outcome == "hit":
            log.cache = "miss"
        with log.timed("processor"):
            measurement = self.processor.measure(content, options)
        if log.cache == "miss":
            with log.timed("cache"):
                log.cache_failures += not self.cache.put(sha256, measurement)
        return Measured(measurement, sha256)

    def allows(self, measurement: Measurement) -> bool:
        """Tell whether an image that was measured before would be measured now: the limits may have changed since."""
        return (
            measurement.image_format in self.settings.allowed_image_formats
            and measurement.pixel_count <= self.settings.max_image_pixels
        )
