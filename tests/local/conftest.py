"""A folder for each test in which a Unix socket has room."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from local_server.private_folder import place

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Like pytest's own, with a short path: with a long TMPDIR, the path of a socket in that would be too long."""
    with TemporaryDirectory(prefix="test-", dir=place(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)
