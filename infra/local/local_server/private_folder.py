"""The private folder of a run: sockets, the cache and uploads. It ends with the run, however that ends.

While the run lives, it holds a lock on a file in the folder. A folder whose lock is free was left by a run that was
killed together with its guard; the next start sweeps it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "image-intensity-"
# The path of a Unix socket has at most 103 bytes, 38 of them for the folder and the name of the socket.
MAX_PLACE_BYTES = 65
LOCK = "lock"
# The process ids of the programs that the run has started and that do not end by themselves.
PROCESSES = "processes"
# Every program of a run has the run's folder in this variable. So the sweep ends no process of anyone else.
VARIABLE = "IMAGE_INTENSITY_RUN"


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make the folder, which only this user may read, and sweep what earlier runs have left."""
    sweep()
    # It gets the name that the sweep looks for when it is locked.
    unlocked = Path(mkdtemp(prefix=f".{PREFIX}", dir=place()))
    folder = unlocked.with_name(unlocked.name[1:])
    with (unlocked / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unlocked.rename(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def place() -> Path:
    """Return where private folders are: where temporary files are, unless a socket there would have too long a path."""
    usual = Path(gettempdir())
    return usual if len(os.fsencode(usual)) <= MAX_PLACE_BYTES else Path("/tmp")  # noqa: S108 - mkdtemp makes it safe


def sweep() -> None:
    """Remove the folders of runs that do not live any more, and end the programs that they have left."""
    for folder in place().glob(f"{PREFIX}*"):
        # Somebody else's, or gone meanwhile.
        with suppress(OSError), (folder / LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end_processes(folder)
            shutil.rmtree(folder, ignore_errors=True)


def end_processes(folder: Path) -> None:
    """End the programs of the run with this folder. Their ids may belong to other programs by now."""
    for process in (folder / PROCESSES).read_text().split() if (folder / PROCESSES).exists() else []:
        with suppress(OSError):
            # Where there is no /proc, nothing is ended.
            if f"{VARIABLE}={folder}".encode() in Path("/proc", process, "environ").read_bytes().split(b"\0"):
                os.killpg(int(process), signal.SIGKILL)
