"""What a run is asked for: the sources, what is taken from them, and how it is measured. It is JSON on its way."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self, get_args

from image_intensity import suffixes_of
from intensity.plan import NAMED_AGAIN, Plan
from intensity.runs.layout import Layout, RunError
from intensity.runs.options import RunOptions
from intensity.sources import listing
from intensity.sources.errors import SourceError
from intensity.sources.listing import Kind, Source
from intensity.sources.objects import located
from intensity.sources.selection import Selection

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from types_boto3_s3 import S3Client

    from intensity.sources.objects import S3Object

# S3 lists a thousand objects in about a tenth of a second: so many take ten of the fifteen minutes that Plan has.
MOST_OBJECTS = 5_000_000
# With statistics and histogram, each has 4 kB of results, and all of them must fit on the disk of Reduce.
MOST_OBJECTS_IN_DETAIL = 1_500_000
# Batches at a time where neither the run nor the deployment says it.
USUAL_CONCURRENCY = 400
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: child executions of a map at a time.
MOST_CHILDREN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The input of an execution.

    include, exclude, hidden, all_versions: as in `intensity.sources.selection`. since: an earlier run, whose rows
    are taken for objects that have not changed. resume: measure what a run of this name has left. max_concurrency: of
    the Distributed Map; None for what the deployment has.
    """

    run: str
    sources: tuple[Source, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    all_versions: bool = False
    options: RunOptions = field(default_factory=RunOptions)
    since: str | None = None
    resume: bool = False
    max_concurrency: int | None = None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        try:
            return cls(
                **{
                    **values,
                    "sources": tuple(Source(*source) for source in values.get("sources", ())),
                    "include": tuple(values.get("include", ())),
                    "exclude": tuple(values.get("exclude", ())),
                    "options": RunOptions.read(values.get("options", {})),
                }
            )
        except TypeError as error:
            raise RunError(f"this is not a request for a run: {error}") from error

    def __post_init__(self) -> None:
        Layout(self.run)
        if self.since is not None:
            Layout(self.since)
        if bool(self.sources) == self.resume:
            raise RunError("a run has sources, and one that is resumed has those that it began with")
        if not all(source.kind in get_args(Kind) for source in self.sources):
            raise RunError(f"a source is one of {', '.join(get_args(Kind))}")
        if self.max_concurrency is not None and not 1 <= self.max_concurrency <= MOST_CHILDREN:
            raise RunError(f"max_concurrency is 1 to {MOST_CHILDREN:,}")

    def values(self) -> dict[str, Any]:
        return {**asdict(self), "options": self.options.values()}


def objects(s3: S3Client, request: Request, skipped: Counter[str]) -> Iterator[S3Object]:
    """Yield each object that the sources name once; count in `skipped` what is not taken.

    Raises SourceError, also if a run cannot have so many, and sqlite3.Error if the temporary folder is full.
    """
    most, number = (MOST_OBJECTS_IN_DETAIL if request.options.full else MOST_OBJECTS), 0
    with Plan() as seen:
        for listed in named(s3, request, skipped):
            if not seen.add(0, listed.found):
                skipped[NAMED_AGAIN] += 1
                continue
            number += 1
            if number > most:
                detailed = " with --detail full" if request.options.full else ""
                raise SourceError(
                    f"these are more than the {most:,} objects that a run can have{detailed}. Start several runs, each "
                    "with a longer prefix; it may end anywhere in a key, as s3://bucket/photos/2026-1 does"
                )
            yield listed


def named(s3: S3Client, request: Request, skipped: Counter[str]) -> Iterator[S3Object]:
    """Likewise, duplicates included."""
    selection = Selection(
        suffixes=suffixes_of(request.options.formats),
        include=request.include,
        exclude=request.exclude,
        hidden=request.hidden,
        all_versions=request.all_versions,
        skipped=skipped,
    )
    for source in request.sources:
        # The functions have no files of the person who starts the run.
        located(source.uri)
        yield from listing.objects(s3, source, selection)


def children(asked: int | None, reserved: int) -> int:
    """Return how many batches are measured at a time. Raises RunError if no function can measure any.

    asked: by the run; None for what the deployment has. reserved: functions for runs; -1 for no bound.
    More than there are functions would only be refused, and each refusal costs a state transition.
    """
    if reserved == 0:
        raise RunError("no function is reserved for runs: the parameter RunsConcurrency of the deployment is 0")
    if reserved < 0:
        return asked or USUAL_CONCURRENCY
    return min(asked or reserved, reserved)
