"""What the cache keeps of a content: its measurement, or why there is none. Every record is signed.

Whoever can write to Redis could otherwise put a wrong number there. A record whose signature, name or version is not
ours is no record: the image is measured again. The signature comes from `SECRET_KEY`, so it protects nothing while that
is the development key, which everybody knows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, Signer
from pydantic import TypeAdapter, ValidationError

from contract.problems import ProblemCode, ProblemError
from image_intensity import Measurement, version

if TYPE_CHECKING:
    from image_intensity import Options

# The longest measurement has 256 counts of 200 million pixels and weighs 6 KB with all numbers at their longest.
MAX_RECORD_BYTES = 16_384
# What says something of the file itself, or of the work that it makes. It will be so again when the file comes back.
REMEMBERED = {
    ProblemCode.UNSUPPORTED_FORMAT,
    ProblemCode.CORRUPT_IMAGE,
    ProblemCode.TOO_MANY_PIXELS,
    ProblemCode.PROCESSOR_TIMEOUT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a content was not measured, and the limits that it was refused under. Under other limits it does not count.

    code: one of `REMEMBERED`. allowed_formats, max_pixels: of the invocation.
    """

    code: ProblemCode
    detail: str
    allowed_formats: tuple[str, ...]
    max_pixels: int

    def error(self) -> ProblemError:
        """Return the problem to answer with."""
        return ProblemError(self.code, self.detail)


Record = Measurement | Refusal
CONTENT: TypeAdapter[Record] = TypeAdapter(Record)


class Records:
    """Makes records and reads them."""

    def __init__(self, secret_key: str) -> None:
        """Sign with keys that are derived from `secret_key`."""
        self.secret_key = secret_key

    def write(self, name: str, record: Record) -> bytes:
        """Return the record as it is kept under `name`: JSON, a point and the signature of both."""
        return self.signer(name).sign(CONTENT.dump_json(record))

    def read(self, name: str, raw: bytes, options: Options) -> Record | None:
        """Return the record that `raw` is, or None if it is not ours: too long, not signed, of another version."""
        if len(raw) > MAX_RECORD_BYTES:
            return None
        try:
            content = self.signer(name).unsign(raw)
            record = CONTENT.validate_json(content, strict=True)
        except (BadSignature, ValidationError):
            return None
        # A record of another gateway may lack a field, which would then have its default. Ours is just as we write it.
        return record if is_current(record, options) and CONTENT.dump_json(record) == content else None

    def signer(self, name: str) -> Signer:
        """Return the signer for one name: a record that was copied under another name is not valid there."""
        return Signer(self.secret_key, salt=f"cache record {name}", digest_method=hashlib.sha256)


def is_current(record: Record, options: Options) -> bool:
    """Return whether a record says what this version would say under `options`. A refusal's name has both already."""
    if isinstance(record, Refusal):
        return record.code in REMEMBERED
    return record.options == options and version(record.algorithm, record.decoders) == version()


def name_of(sha256: str, options: Options, measured_by: str | None = None) -> str:
    """Return the name of a record. It has the version, so a new algorithm or decoder does not find the old records."""
    return f"intensity:{measured_by or version()}:{options.luma}:{options.alpha}:{sha256}"
