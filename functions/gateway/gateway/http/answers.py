"""The answers of the API: the eight fields of a measurement, with `detail=full` the rest of it, and upload forms."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from contract.jobs import Step
from image_intensity import Alpha, Luma, Options, Region, Statistics

if TYPE_CHECKING:
    from gateway.measuring.direct_uploads import Offer
    from gateway.measuring.jobs import Found
    from gateway.measuring.outcome import Outcome
    from image_intensity import Measurement

DEFAULTS = Options()


def region_text(text: str | None) -> str | None:
    """Return the text of a region, or None for the whole image. Raises ValueError if it is not a region."""
    return None if text is None else str(Region.read(text))


class OptionsQuery(BaseModel):
    """The options of a measurement, in the query of a request. Any other parameter is an error."""

    model_config = ConfigDict(extra="forbid")

    luma: Annotated[
        Luma, Field(description="How a color becomes a gray value; docs/measurement.md has the formulas")
    ] = DEFAULTS.luma
    alpha: Annotated[
        Alpha,
        Field(
            description="What transparency does: `ignore` it, count it as the pixel's `weight`, or lay the image on "
            "`black` or `white`"
        ),
    ] = DEFAULTS.alpha
    region: Annotated[
        str | SkipJsonSchema[None],
        AfterValidator(region_text),
        Field(
            description="`x,y,width,height` in pixels, as the file stores them: only this rectangle is measured. All "
            "of it must be in the image",
            # Without an example: Swagger UI would send it with every image.
            json_schema_extra={"pattern": f"^{Region.PATTERN}$"},
        ),
    ] = None

    @property
    def options(self) -> Options:
        """The options as the contract has them."""
        region = None if self.region is None else Region.read(self.region)
        return Options(luma=self.luma, alpha=self.alpha, region=region)


class DetailQuery(BaseModel):
    """How much of a measurement the answer has. Any other parameter is an error."""

    model_config = ConfigDict(extra="forbid")

    detail: Annotated[
        Literal["full"] | SkipJsonSchema[None],
        Field(description="`full` adds statistics, histogram and how it was measured"),
    ] = None


class IntensityQuery(DetailQuery, OptionsQuery):
    """The options of a measurement, and how much of it the answer has."""


class Intensity(BaseModel):
    """The average intensity of an image, and what it was computed from."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    average_intensity: float
    """Mean grayscale value (by default ITU-R BT.601 luma) over all pixels of the first frame, or of the region in it: 0
    black, 255 white; not rounded."""
    filename: str
    """The name that was sent with the file; empty if none was."""
    image_size: tuple[int, int]
    """Width and height in pixels, as stored."""
    original_mode: str
    """How the file stores its pixels, as a Pillow mode: 1, L, LA, P, RGB, RGBA, CMYK or I;16."""
    pixel_count: int
    """Pixels that were measured: width times height of the image, or of the region."""
    duration_ms: float
    """Milliseconds from the complete upload to the answer."""
    image_size_bytes: int
    """Length of the file in bytes."""
    request_id: str
    """The same as in the header X-Request-ID."""

    @classmethod
    def of(cls, measurement: Measurement, *, filename: str, duration_ms: float, request_id: str) -> Self:
        """Return the answer for a measurement."""
        return cls(
            average_intensity=measurement.average_intensity,
            filename=filename,
            image_size=measurement.image_size,
            original_mode=measurement.original_mode,
            pixel_count=measurement.pixel_count,
            duration_ms=duration_ms,
            image_size_bytes=measurement.image_size_bytes,
            request_id=request_id,
        )


class Method(BaseModel):
    """How an image was measured: enough to repeat it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    algorithm: str
    """Version of the algorithm: raised when a number could change."""
    luma: Luma
    """How a color became a gray value."""
    luma_weights: tuple[float, float, float]
    """The weights of red, green and blue; a gray value is their weighted mean, rounded to the nearest integer."""
    scale: tuple[int, int]
    """Black and white."""
    bit_depth: Literal[8, 16]
    """Bits of the gray values that were measured."""
    stored_bit_depth: int
    """Bits per sample in the file; 16-bit files other than gray without alpha are measured at 8."""
    alpha: Alpha
    """What transparency did."""
    region: str | None
    """The rectangle that was measured, `x,y,width,height`, as in the query; null for the whole image."""
    frame: int
    """The frame that was measured, from 0."""
    frames: int
    """Frames in the file, as it declares."""
    sha256: str
    """SHA-256 of the file, hexadecimal."""
    decoders: dict[str, str]
    """Versions of the libraries that decoded."""

    @classmethod
    def of(cls, measurement: Measurement, sha256: str) -> Self:
        """Return how the content with this digest was measured."""
        return cls.model_validate(measurement.method(sha256))


class Upload(BaseModel):
    """How to upload a file, and the ticket to have it measured."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    known: bool
    """Whether this content was measured before. Then there is nothing to upload, and `url` and `fields` are null."""
    url: str | None
    """Where to POST a multipart form: all `fields`, then the file as the last one, named `file`. S3 answers 204."""
    fields: dict[str, str] | None
    """The fields of that form."""
    ticket: str
    """For POST /intensity. You may use it several times, until it expires."""
    expires_at: datetime
    """When form and ticket expire."""
    request_id: str
    """The same as in the header X-Request-ID."""

    @classmethod
    def of(cls, offer: Offer, request_id: str) -> Self:
        """Return the answer for an offer, which has a form unless the content is known."""
        form = offer.form
        return cls(
            known=form is None,
            url=form.url if form else None,
            fields=form.fields if form else None,
            ticket=offer.ticket,
            expires_at=offer.expires_at,
            request_id=request_id,
        )


class FullIntensity(Intensity):
    """The average intensity of an image, the distribution that it is the mean of, and how it was measured."""

    statistics: Statistics
    """Of the gray values, on the scale 0 to 255."""
    histogram: list[int]
    """256 counts of pixels by gray value; with alpha=weight a pixel counts its alpha, 0 to 255."""
    measurement: Method
    """How it was measured."""

    @classmethod
    def extending(cls, answer: Intensity, outcome: Outcome) -> Self:
        """Return `answer` with the rest of the measurement."""
        measurement = outcome.measurement
        return cls(
            **answer.model_dump(),
            statistics=measurement.statistics,
            histogram=list(measurement.histogram),
            measurement=Method.of(measurement, outcome.sha256),
        )


class JobProgress(BaseModel):
    """How far a job is."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    step: Step
    """`reading` the file from storage, or `measuring` it."""
    share: Annotated[float, Field(ge=0, le=1)]
    """How much of the file has been read, from 0 to 1."""


class JobAnswer(BaseModel):
    """A job, and its result when it is done."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    """Who knows it may ask for the job: GET /jobs/{id}."""
    status: Literal["queued", "running", "done"]
    """Whether the job waits for a worker, has one, or has its result. If it has failed, the answer is the problem."""
    progress: JobProgress | None
    """How far it is while it is running; else null."""
    result: FullIntensity | Intensity | None
    """The measurement, as POST /intensity answers it; null until the job is done."""
    request_id: str
    """The same as in the header X-Request-ID."""

    @classmethod
    def of(cls, found: Found, request_id: str, result: FullIntensity | Intensity | None = None) -> Self:
        """Return the answer for a job that has not failed."""
        job_id, job = found
        progress = job.progress and JobProgress(step=job.progress.step, share=job.progress.share)
        status: Literal["queued", "running", "done"] = "done" if job.status == "finished" else job.status
        return cls(id=job_id, status=status, progress=progress, result=result, request_id=request_id)
