"""What the cache keeps of a content: its measurement, or why there is none. Every record is signed.

Whoever can write to Redis could otherwise put a wrong number there. A record whose signature, name or version is not
ours is no record: the image is measured again. The signature comes from `SECRET_KEY`. In development there may be none:
then each start has a random one, and finds no record of an earlier start.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from itsdangerous import BadSignature, Signer
from pydantic import Field, TypeAdapter, ValidationError

from contract.problems import ProblemCode, ProblemError
from image_intensity import Measurement, MeasurementError, algorithm, version

if TYPE_CHECKING:
    from image_intensity import Options

# The longest measurement has 256 counts of 200 million pixels and weighs 6 KB with all numbers at their longest.
MAX_RECORD_BYTES = 16_384
# So many of the last records that were read need not be checked again if the cache still has them, byte for byte.
RECORDS_IN_MEMORY = 256
# What says something of the file itself. It will be so again when the file comes back.
OF_THE_FILE = {ProblemCode(kind.code) for kind in MeasurementError.__subclasses__()}
# Also the time that a file takes, but only if the processor has really spent it (TimeUsedUpError).
REMEMBERED = OF_THE_FILE | {ProblemCode.PROCESSOR_TIMEOUT}


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
        return ProblemError(self.code, self.detail)


Record = Measurement | Refusal
# Nearly all are measurements. To try both kinds each time, as pydantic does by default, takes twice as long.
CONTENT: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(union_mode="left_to_right")])


class Records:
    def __init__(self, secret_key: str) -> None:
        self.secret_key = secret_key
        self.remembered = lru_cache(RECORDS_IN_MEMORY)(self.checked)

    def write(self, name: str, record: Record) -> bytes:
        """Return the record as it is kept under `name`: JSON, a point and the signature of both."""
        return self.signer(name).sign(written(record))

    def read(self, name: str, raw: bytes, options: Options) -> Record | None:
        """Return the record that `raw` is, or None if it is not ours: too long, not signed, of another version."""
        return self.remembered(name, raw, options) if 0 < len(raw) <= MAX_RECORD_BYTES else None

    def checked(self, name: str, raw: bytes, options: Options) -> Record | None:
        """Return the record that `raw` is, or None if it is not ours. The same bytes under the same name stay so."""
        try:
            content = self.signer(name).unsign(raw)
            record = CONTENT.validate_json(content, strict=True)
        except (BadSignature, ValidationError):
            return None
        # A record of another gateway may lack a field, which would then have its default. Ours is just as we write it.
        return record if is_current(record, options) and written(record) == content else None

    def signer(self, name: str) -> Signer:
        """Return the signer for one name: a record that was copied under another name is not valid there."""
        return Signer(self.secret_key, salt=f"cache record {name}", digest_method=hashlib.sha256)


def written(record: Record) -> bytes:
    """Return a record as JSON. CONTENT would look for its kind first, which takes as long as the writing."""
    kind: type = type(record)
    return writer(kind).dump_json(record)


@cache
def writer(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def is_current(record: Record, options: Options) -> bool:
    """Return whether a record says what this version would say under `options`. A refusal's name has both already."""
    if isinstance(record, Refusal):
        return record.code in REMEMBERED
    return record.options == options and version(record.algorithm, record.decoders) == version(algorithm(options))


def name_of(sha256: str, options: Options, measured_by: str | None = None) -> str:
    """Return the name of a record. It has the version, so a new algorithm or decoder does not find the old records."""
    return f"intensity:{measured_by or version(algorithm(options))}:{options.key()}:{sha256}"
