"""Ends what a killed run would leave behind: `python guard.py FOLDER`, started by the run itself.

Its standard input is a pipe from the run, which tells it the process ids of what was started (`12`) and what has ended
(`-12`). The pipe ends when the run does, also by SIGKILL. It uses the standard library only, so that it is small.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress

PATIENCE_SECONDS = 2


def main() -> None:
    """Wait for the end of the run, then end its processes and remove its folder."""
    processes: set[int] = set()
    for line in sys.stdin:
        number = int(line)
        if number > 0:
            processes.add(number)
        else:
            processes.discard(-number)
    for process in processes:
        # Each has a group of its own, with what it has started in turn.
        with suppress(OSError):
            os.killpg(process, signal.SIGKILL)
    end = time.monotonic() + PATIENCE_SECONDS
    while any(map(exists, processes)) and time.monotonic() < end:
        time.sleep(0.01)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


def exists(process: int) -> bool:
    """Return whether there is such a process."""
    with suppress(OSError):
        os.kill(process, 0)
        return True
    return False


if __name__ == "__main__":
    main()
