"""A folder for each test in which a Unix socket has room, and a new logger for each file of tests."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Like pytest's own, with a short path: with a long TMPDIR, the path of a socket in that would be too long."""
    with TemporaryDirectory(prefix="test-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True, scope="module")
def new_logger() -> None:
    """Forget the logger. Powertools sets one up for its process once, and ignores a second handler."""
    logging.Logger.manager.loggerDict.pop("image-intensity", None)
