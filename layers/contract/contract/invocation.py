"""The messages between the gateway and the processor: one JSON object each way.

    gateway   {"image": "<base64>", "allowed_formats": ["PNG", "JPEG"], "max_pixels": 64000000,
               "luma": "bt601", "alpha": "ignore", "region": null, "request_id": "a1b2..."}
              "region" is null for the whole image, or {"x": 10, "y": 20, "width": 300, "height": 200}
              or, if the file is in S3, instead of "image":
              "stored": {"bucket": "...", "key": "...", "size": 123, "sha256": "..."}
    processor {"measurement": {...}}  or  {"problem": {"code": "corrupt_image", "detail": "..."}}

A bad image is data in the answer and not a raised exception. So a Lambda `FunctionError` always means a crash.

During a deployment, gateway and processor may have different versions. Therefore a new field always has a default, the
receiver takes the default for a field that is missing, and it ignores a field that it does not know. The default of a
new option must mean what was done before the option existed. An invalid value is always an error.
"""

from __future__ import annotations

from base64 import b64encode
from binascii import a2b_base64
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from json import dumps
from typing import TYPE_CHECKING, Any, Self

from image_intensity import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.problems import ProblemError
    from image_intensity import ImageFormat, Measurement

# This is all C code. The standard library's b64decode(validate=True) first runs a regular expression over the text.
b64decode = partial(a2b_base64, strict_mode=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """A file in S3 and what its sender announced: size in bytes, sha256 in hexadecimal.

    The processor refuses a file with another size or digest.
    """

    bucket: str
    key: str
    size: int
    sha256: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read the part "stored" of an event. Raises KeyError where a field is missing."""
        return cls(bucket=event["bucket"], key=event["key"], size=event["size"], sha256=event["sha256"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One image to measure, with the limits that the gateway's settings put on it.

    image: the bytes of the file, or where the file is. allowed_formats: the formats that may be measured. max_pixels:
    the most pixels that may be decoded. options: what the sender chose. request_id: the id in the gateway's log and
    answer; the processor writes it to its own log.
    """

    image: bytes | StoredImage
    allowed_formats: tuple[ImageFormat, ...]
    max_pixels: int
    options: Options = field(default_factory=Options)
    request_id: str = ""

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
            **self.options.to_json(),
            "request_id": self.request_id,
        }

    def to_json(self, encode: Callable[[bytes], bytes] = b64encode) -> bytes:
        """Return the event as JSON. `encode` makes the base64.

        The base64 is put in as it is: it has nothing to escape, and `json.dumps` would take long to find that out.
        """
        if isinstance(self.image, StoredImage):
            return dumps(self.to_event()).encode()
        rest = replace(self, image=b"").to_event()
        del rest["image"]
        return b"".join((b'{"image": "', encode(self.image), b'", ', dumps(rest).encode()[1:]))

    @classmethod
    def from_event(cls, event: dict[str, Any], decode: Callable[[str], bytes] = b64decode) -> Self:
        """Read an event of this version, an older or a newer one. `decode` reads the base64.

        Raises KeyError where the image, a limit or a part of the region is missing, and TypeError or ValueError where a
        value is invalid.
        """
        return cls(
            image=StoredImage.from_event(event["stored"]) if "stored" in event else decode(event["image"]),
            allowed_formats=tuple(event["allowed_formats"]),
            max_pixels=int(event["max_pixels"]),
            options=Options.from_json(event),
            request_id=event.get("request_id", ""),
        )


def measurement_answer(measurement: Measurement) -> dict[str, Any]:
    return {"measurement": measurement.to_json()}


def problem_answer(problem: ProblemError) -> dict[str, Any]:
    return {"problem": {"code": problem.code.value, "detail": problem.detail}}
