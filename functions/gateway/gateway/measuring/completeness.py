"""Whether a measurement that came as JSON had every field, or some got their defaults."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


def has_every_field(sent: Any, read: object) -> bool:  # noqa: ANN401 - any JSON
    """Return whether the JSON `sent`, from which the dataclass `read` was made, has every field of it.

    An older processor, or an older record in the cache, does not have a field that is new here.
    """
    return not is_dataclass(read) or all(
        field.name in sent and has_every_field(sent[field.name], getattr(read, field.name)) for field in fields(read)
    )
