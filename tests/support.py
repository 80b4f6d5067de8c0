"""What the tests share: which parts this machine has, and a skip that becomes a failure when every tier is required."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from pydantic import AliasChoices

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from gateway.settings import Settings

# This machine as containers on Docker's default network see it.
BRIDGE = "172.17.0.1"
# The fields of an answer without `detail=full`.
DEFAULT_FIELDS = [
    "average_intensity",
    "filename",
    "image_size",
    "original_mode",
    "pixel_count",
    "duration_ms",
    "image_size_bytes",
    "request_id",
]


def missing(part: str) -> NoReturn:
    """Skip the test for want of `part`, or fail it where `REQUIRE_ALL=1` says that the machine must have everything."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1, but {part} is missing", pytrace=False)
    pytest.skip(f"{part} is missing")


def executable(*names: str) -> str:
    """The path of the first of `names` on this machine's PATH; skips (or fails, see `missing`) when there is none."""
    for name in names:
        if path := shutil.which(name):
            return path
    missing(" or ".join(names))


def ministack() -> str:
    """The path of the program that `make run` and `make test` install for large uploads; skips where it is missing."""
    program = Path(__file__).parents[1] / ".venv-ministack/bin/ministack"
    if not program.exists():
        missing("MiniStack (make test installs it)")
    return str(program)


def free_port() -> int:
    """A TCP port on the loopback interface that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def variables(settings: type[Settings]) -> dict[str, FieldInfo]:
    """The environment variables of the settings, each with its field; a field with an old name is there twice."""
    return {str(name): field for field in settings.model_fields.values() for name in names(field)}


def names(field: FieldInfo) -> list[str]:
    """The names of a setting's environment variable: the present one first, then older ones."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]
