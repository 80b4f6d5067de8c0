"""What a request ends in: a measurement, and a report of how it went."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.problems import ProblemCode
    from image_intensity import Measurement

CacheOutcome = Literal["hit", "miss", "bypass"]


@dataclass(slots=True)
class Report:
    """How a request went, for its headers, log line and metrics.

    caller: who sent it, as far as it is known; never the key or the token itself. timings: milliseconds by the name of
    the part. cache: how the cache answered; None if no measurement was looked up. cache_failures: how many operations
    on the cache failed (an open breaker tries none).
    """

    request_id: str
    caller: str | None = None
    started: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)
    cache: CacheOutcome | None = None
    cache_failures: int = 0
    problem: ProblemCode | None = None
    status: int = 0

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time of the block to the part `name`, also when the block fails."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0) + (time.perf_counter() - begun) * 1000


class Outcome(NamedTuple):
    """A measurement, and the SHA-256 of the file, hexadecimal."""

    measurement: Measurement
    sha256: str
