"""The answers of the API: the eight fields of a measurement, with `detail=full` the rest of it, and upload forms."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from image_intensity import LUMA_FORMULAS, Alpha, Luma, Options, Statistics

if TYPE_CHECKING:
    from gateway.measuring.direct_uploads import Offer
    from gateway.measuring.outcome import Outcome
    from image_intensity import Measurement

DEFAULTS = Options()
EXAMPLE: dict[str, Any] = {
    "average_intensity": 127.45,
    "filename": "sample.png",
    "image_size": [800, 600],
    "original_mode": "RGB",
    "pixel_count": 480000,
    "duration_ms": 25.5,
    "image_size_bytes": 123456,
    "request_id": "a1b2c3d4-e5f6-7890-1234-567890abcdef",
}
UPLOAD_EXAMPLE: dict[str, Any] = {
    "known": False,
    "url": "https://image-intensity-uploads.s3.eu-central-1.amazonaws.com/",
    "fields": {
        "Content-Type": "image/png",
        "x-amz-checksum-algorithm": "SHA256",
        "x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "key": "uploads/0b0e1d5e-4f39-4dcb-8ba2-5d9f7c4d7c1e",
        "policy": "...",
        "x-amz-signature": "...",
    },
    "ticket": "...",
    "expires_at": "2026-11-22T13:00:00Z",
    "request_id": EXAMPLE["request_id"],
}


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

    @property
    def options(self) -> Options:
        """The options as the contract has them."""
        return Options(luma=self.luma, alpha=self.alpha)


class IntensityQuery(OptionsQuery):
    """The options of a measurement, and how much of it the answer has."""

    detail: Annotated[
        Literal["full"] | None, Field(description="`full` adds statistics, histogram and how it was measured")
    ] = None


class Intensity(BaseModel):
    """The average intensity of an image, and what it was computed from."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE}, use_attribute_docstrings=True)

    average_intensity: float
    """Mean grayscale value (by default ITU-R BT.601 luma) over all pixels of the first frame: 0 black, 255 white; not
    rounded."""
    filename: str
    """The name that was sent with the file."""
    image_size: tuple[int, int]
    """Width and height in pixels, as stored."""
    original_mode: str
    """How the file stores its pixels, as a Pillow mode: 1, L, LA, P, RGB, RGBA, CMYK or I;16."""
    pixel_count: int
    """Width times height."""
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
        weights, divisor = LUMA_FORMULAS[measurement.options.luma]
        red, green, blue = (weight / divisor for weight in weights)
        return cls.model_validate(
            {
                "algorithm": measurement.algorithm,
                "luma": measurement.options.luma,
                "luma_weights": (red, green, blue),
                "scale": (0, 255),
                "bit_depth": measurement.bit_depth,
                "stored_bit_depth": measurement.stored_bit_depth,
                "alpha": measurement.options.alpha,
                "frame": 0,
                "frames": measurement.frames,
                "sha256": sha256,
                "decoders": measurement.decoders,
            }
        )


class Upload(BaseModel):
    """How to upload a file, and the ticket to have it measured."""

    model_config = ConfigDict(json_schema_extra={"example": UPLOAD_EXAMPLE}, use_attribute_docstrings=True)

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
