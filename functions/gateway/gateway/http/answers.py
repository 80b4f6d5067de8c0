"""The queries and answers of the API: options, the eight fields of a measurement or all of it, upload forms, jobs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import SkipJsonSchema

from contract.jobs import Progress
from gateway.measuring.direct_uploads import TICKET
from image_intensity import OPTIONS, Options, Statistics

if TYPE_CHECKING:
    from gateway.measuring.outcome import Outcome
    from image_intensity import Option

REQUEST_ID = "a1b2c3d4-e5f6-7890-1234-567890abcdef"
JOB_ID = "Zr0mJbWcS3o7qk1XvQ9yTn4LdA8uHp2e"


def texts_of(option: Option) -> Any:  # noqa: ANN401 - a type
    return Literal[option.values] if option.values else str | None


def field_of(option: Option, default: Any = ..., **more: Any) -> Any:  # noqa: ANN401 - what pydantic takes
    return Field(default, description=option.description[0].upper() + option.description[1:], **more)


def parameter(option: Option) -> Any:  # noqa: ANN401 - what pydantic takes as a field
    if not option.kind:
        return texts_of(option), field_of(option, option.default)
    kind = Annotated[str | SkipJsonSchema[None], AfterValidator(option.checked)]
    # Without an example: Swagger UI would send it with every image.
    return kind, field_of(option, option.default, json_schema_extra={"pattern": f"^{option.kind.PATTERN}$"})


def example(**fields: Any) -> ConfigDict:  # noqa: ANN401 - any field
    """Return the configuration of a model whose documentation has an example."""
    return ConfigDict(use_attribute_docstrings=True, json_schema_extra={"examples": [fields]})


# An option is a field of the core's `Options`, and is declared there.
OptionParameters: Any = create_model("OptionParameters", **{name: parameter(each) for name, each in OPTIONS.items()})
said: Any = {name: (texts_of(each), field_of(each)) for name, each in OPTIONS.items()}
OptionsSaid: Any = create_model("OptionsSaid", **said)


class OptionsQuery(OptionParameters):
    """The options of a measurement, in the query of a request. Any other parameter is an error."""

    model_config = ConfigDict(extra="forbid")

    @property
    def options(self) -> Options:
        return Options(**{name: getattr(self, name) for name in OPTIONS})


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
    """How the file stores its pixels, as a Pillow mode: 1, L, LA, P, RGB, RGBA, CMYK, I;16 or, in a TIFF, I;16B."""
    pixel_count: int
    """Pixels that were measured: width times height of the image, or of the region."""
    duration_ms: float
    """Milliseconds from the complete upload to the answer."""
    image_size_bytes: int
    """Length of the file in bytes."""
    request_id: str
    """The same as in the header X-Request-ID."""

    @classmethod
    def of(cls, outcome: Outcome, **request: str | float) -> Self:
        """Return the answer for a measurement. request: the fields that belong to the request."""
        measured = outcome.measurement
        taken = {name: getattr(measured, name) for name in cls.model_fields if hasattr(measured, name)}
        return cls(**taken, measurement=measured.method(outcome.sha256), **request)


class Method(OptionsSaid):
    """How an image was measured: enough to repeat it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    algorithm: str
    """Version of the algorithm: raised when a number could change."""
    luma_weights: tuple[float, float, float]
    """The weights of red, green and blue; a gray value is their weighted mean, rounded to the nearest integer."""
    scale: tuple[int, int]
    """Black and white."""
    bit_depth: Literal[8, 12, 16]
    """Bits of the gray values that were measured."""
    stored_bit_depth: int
    """Bits per sample in the file; 16-bit files other than gray without alpha are measured at 8."""
    frame: int
    """The frame that was measured, from 0."""
    frames: int
    """Frames in the file, as it declares."""
    sha256: str
    """SHA-256 of the file, hexadecimal."""
    decoders: dict[str, str]
    """Versions of the libraries that decoded."""


class FullIntensity(Intensity):
    """The average intensity of an image, the distribution that it is the mean of, and how it was measured."""

    statistics: Statistics
    """Of the gray values, on the scale 0 to 255."""
    histogram: list[int]
    """256 counts of pixels by gray value; with alpha=weight a pixel counts its alpha, 0 to 255."""
    measurement: Method
    """How it was measured."""


class Upload(BaseModel):
    """How to upload a file, and the ticket to have it measured."""

    model_config = example(
        known=False,
        url="https://image-intensity-uploads.s3.eu-central-1.amazonaws.com/",
        fields={
            "Content-Type": "image/png",
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
            "key": "uploads/0b0e1d5e-4f39-4dcb-8ba2-5d9f7c4d7c1e",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "ASIAIOSFODNN7EXAMPLE/20261122/eu-central-1/s3/aws4_request",
            "x-amz-date": "20261122T120000Z",
            "policy": "eyJleHBpcmF0aW9uIjogIjIwMjYtMTEtMjJUMTM6MDA6MDBaIiwgImNvbmRpdGlvbnMiOiBbXX0=",
            "x-amz-signature": "971865cf37e8f02d5b75436d4ed777647c0c7d498d9fa8b1748dbe96cdb18710",
        },
        ticket=TICKET,
        expires_at="2026-11-22T13:00:00Z",
        request_id=REQUEST_ID,
    )

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


class JobAnswer(BaseModel):
    """A job, and its result when it is done."""

    model_config = example(
        id=JOB_ID, status="running", progress={"step": "reading", "share": 0.25}, result=None, request_id=REQUEST_ID
    )

    id: str
    """Who knows it may ask for the job: GET /jobs/{id}."""
    status: Literal["queued", "running", "done"]
    """Whether the job waits for a worker, has one, or has its result. If it has failed, the answer is the problem."""
    progress: Progress | None
    """How far it is while it is running; else null."""
    result: FullIntensity | Intensity | None
    """The measurement, as POST /intensity answers it; null until the job is done."""
    request_id: str
    """The same as in the header X-Request-ID."""
