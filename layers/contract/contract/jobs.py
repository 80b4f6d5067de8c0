"""A job: one image that may take minutes, and what is known of it. The gateway makes the record, its worker renews it.

The record is JSON, kept under the name of the job until it expires. Who renews it writes all of it anew:

    queued    no worker has begun
    running   a worker has begun; `progress` says how far it is
    finished  `answer` is the processor's answer, a measurement or a problem (see `contract.invocation`)

A worker that dies cannot say so. Therefore every record that is not finished has an end, `until`, and a worker moves
this end on while it lives. A record whose end has passed is that of a job which nobody works on any more.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields, replace
from json import dumps, loads
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from image_intensity import Options

if TYPE_CHECKING:
    from contract.invocation import StoredImage

Status = Literal["queued", "running", "finished"]
Step = Literal["reading", "measuring"]

# How long a record is kept after it was last written: a client may come back for the answer the next day.
KEPT_SECONDS = 86_400
# How long a job may wait for a worker. On Lambda, an event that is older is given up.
QUEUED_SECONDS = 3600
# A worker says so often that it lives, and counts as dead when it has not said so for a while.
BEAT_SECONDS, SILENCE_SECONDS = 5.0, 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a worker is. step: it reads the file from S3, or measures it. share: of the bytes to read, 0 to 1."""

    step: Step
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The record of a job.

    filename, sha256 (hexadecimal), size (bytes): of the file, as its ticket says. options: what the sender chose.
    created: when it was asked for, by the clock of `time.time`.
    attempts: how many workers have begun. until: when a job that is not finished counts as dead. begun: when the
    present worker began, by the same clock. seconds: how long measuring took, once it is finished.
    answer: the processor's.
    """

    filename: str
    sha256: str
    size: int
    options: Options = field(default_factory=Options)
    created: float = 0.0
    status: Status = "queued"
    attempts: int = 0
    until: float = 0.0
    begun: float = 0.0
    seconds: float = 0.0
    progress: Progress | None = None
    answer: dict[str, Any] | None = None

    @classmethod
    def of(cls, filename: str, image: StoredImage, options: Options) -> Self:
        """Return the record of a new job, which waits for a worker."""
        now = time.time()
        new = cls(filename=filename, sha256=image.sha256, size=image.size, options=options)
        return replace(new, created=now, until=now + QUEUED_SECONDS)

    def waiting(self) -> Self:
        """Return the record of a job whose place in the queue was just seen."""
        return replace(self, until=time.time() + SILENCE_SECONDS)

    def taken(self, most_attempts: int = 1, pause: float = 0) -> Self:
        """Return the record of a job that a worker begins now. If it dies, another begins after `pause` seconds."""
        begun = replace(self, status="running", attempts=self.attempts + 1, begun=time.time(), answer=None)
        return begun.alive(Progress(step="reading", share=0.0), most_attempts, pause)

    def alive(self, progress: Progress, most_attempts: int = 1, pause: float = 0) -> Self:
        """Return the record of a job whose worker lives now; the arguments are those of `taken`."""
        until = time.time() + SILENCE_SECONDS + (pause if self.attempts < most_attempts else 0)
        return replace(self, until=until, progress=progress)

    def finished(self, answer: dict[str, Any]) -> Self:
        # No worker has begun a job whose measurement was known.
        seconds = time.time() - self.begun if self.begun else 0.0
        return replace(self, status="finished", progress=None, seconds=seconds, answer=answer)

    @property
    def is_dead(self) -> bool:
        """Whether nobody works on it any more, and there is no answer."""
        return self.status != "finished" and time.time() > self.until

    def to_json(self) -> bytes:
        return dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read a record of this version, an older or a newer one. Raises ValueError, TypeError or KeyError."""
        return cls.from_dict(loads(content))

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Self:
        """Read a record from its parsed JSON. Raises as `from_json`."""
        known = {each.name: given[each.name] for each in fields(cls) if each.name in given}
        progress, options = known.get("progress"), Options.from_json(given["options"])
        job = cls(**{**known, "options": options, "progress": progress and Progress(**progress)})
        if job.status not in get_args(Status):
            raise ValueError(f"unknown status: {job.status!r}")
        return job
