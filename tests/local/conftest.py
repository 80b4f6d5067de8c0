"""A folder for each test in which a Unix socket has room."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Like pytest's own, with a short path: in that, the path of a socket would be too long."""
    with TemporaryDirectory(prefix="test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
