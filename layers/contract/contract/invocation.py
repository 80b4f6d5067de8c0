"""The messages between the gateway and the processor: one JSON object each way.

    gateway   {"image": "<base64>", "allowed_formats": ["PNG", "JPEG"], "max_pixels": 64000000,
               "luma": "bt601", "alpha": "ignore"}
              or, in the place of "image", "stored": {"bucket": "...", "key": "...", "size": 123, "sha256": "..."}
    processor {"measurement": {...}}  or  {"problem": {"code": "corrupt_image", "detail": "..."}}

A bad image is data in the answer and not a raised exception, so that a Lambda `FunctionError` always means a crash.
"""

from __future__ import annotations

from base64 import b64encode
from binascii import a2b_base64
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from json import dumps
from typing import TYPE_CHECKING, Any, Self, get_args

from image_intensity import Alpha, Luma, Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.problems import ProblemError
    from image_intensity import ImageFormat, Measurement

# In C throughout; the standard library's b64decode(validate=True) runs a regular expression over it first.
b64decode = partial(a2b_base64, strict_mode=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """A file in S3, as it was announced: size in bytes, sha256 hexadecimal. What is found there must be just this."""

    bucket: str
    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One image to measure, with the limits that the gateway's settings put on it.

    image: the file's bytes, or where they are. allowed_formats: what the content may be. max_pixels: the most pixels
    that may be decoded. options: what the sender chose.
    """

    image: bytes | StoredImage
    allowed_formats: tuple[ImageFormat, ...]
    max_pixels: int
    options: Options = field(default_factory=Options)

    def to_event(self) -> dict[str, Any]:
        """Return the event to send, with the image in base64 (four thirds of its size)."""
        image = self.image
        return {
            **(
                {"stored": asdict(image)}
                if isinstance(image, StoredImage)
                else {"image": b64encode(image).decode("ascii")}
            ),
            "allowed_formats": list(self.allowed_formats),
            "max_pixels": self.max_pixels,
            "luma": self.options.luma,
            "alpha": self.options.alpha,
        }

    def to_json(self, encode: Callable[[bytes], bytes] = b64encode) -> bytes:
        """Return the event as JSON, its base64 by `encode`. That has nothing to escape; to look for it takes long."""
        if isinstance(self.image, StoredImage):
            return dumps(self.to_event()).encode()
        rest = replace(self, image=b"").to_event()
        del rest["image"]
        return b"".join((b'{"image": "', encode(self.image), b'", ', dumps(rest).encode()[1:]))

    @classmethod
    def from_event(cls, event: dict[str, Any], decode: Callable[[str], bytes] = b64decode) -> Self:
        """Read an event, its base64 by `decode`.

        Raises KeyError, TypeError or ValueError where it is not one that `to_event` makes.
        """
        return cls(
            image=StoredImage(**event["stored"]) if "stored" in event else decode(event["image"]),
            allowed_formats=tuple(event["allowed_formats"]),
            max_pixels=int(event["max_pixels"]),
            options=read_options(event["luma"], event["alpha"]),
        )


def read_options(luma: Luma, alpha: Alpha) -> Options:
    """Return the options of an event. Raises ValueError for a value that is none: it must not become the default."""
    if luma not in get_args(Luma) or alpha not in get_args(Alpha):
        message = f"unknown option: luma={luma!r}, alpha={alpha!r}"
        raise ValueError(message)
    return Options(luma=luma, alpha=alpha)


def measured(measurement: Measurement) -> dict[str, Any]:
    """Return the answer that carries a measurement."""
    return {"measurement": asdict(measurement)}


def refused(problem: ProblemError) -> dict[str, Any]:
    """Return the answer that says why there is no measurement."""
    return {"problem": {"code": problem.code.value, "detail": problem.detail}}
