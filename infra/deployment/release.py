"""What makes a release: a hash of what is deployed. The same code and parameters have the same, all others another."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# It is made of the others.
ITSELF = "Release"


def release(build: Path, parameters: Mapping[str, str]) -> str:
    """Return the hash of all files in `build`, which `make build` fills, and of the parameters.

    build: has the code of the gateway, the layer, the template and the nested ones. parameters: those that are not the
    template's defaults; the defaults are in the template.
    """
    digest = hashlib.sha256()
    for file in sorted(path for path in build.rglob("*") if path.is_file()):
        add(digest, file.relative_to(build).as_posix().encode())
        add(digest, file.read_bytes())
    for name in sorted(parameters.keys() - {ITSELF}):
        add(digest, f"{name}={parameters[name]}".encode())
    return digest.hexdigest()


def add(digest: hashlib._Hash, part: bytes) -> None:
    """Add a part and its length, so that two parts are never read as one."""
    digest.update(len(part).to_bytes(8))
    digest.update(part)
