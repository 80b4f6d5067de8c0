"""Without what only Unix has, the service runs in one process: so it can be used on Windows."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx

from tests.core.samples import encoded, pixels
from tests.local.test_processes import wait_for
from tests.local.test_run import answers as is_answering
from tests.server import environment

if TYPE_CHECKING:
    from pathlib import Path

# What Windows does not have is hidden. The library for events is asyncio's for this system nevertheless.
PROGRAM = """
import asyncio, os, signal, socket, sys, types
import filelock
for name in ("fcntl", "grp", "gunicorn", "pty", "pwd", "resource", "termios", "uvloop"):
    sys.modules[name] = None
import local_server.start as start
from local_server.start import main
for module, names in ((socket, ["send_fds", "recv_fds"]), (signal, ["SIGHUP", "setitimer"]),
                      (os, ["killpg", "fork", "sched_getaffinity", "sysconf"])):
    for name in names:
        delattr(module, name)
start.sys = types.SimpleNamespace(platform="win32", executable=sys.executable)
if __name__ == "__main__":
    main()
"""


def test_it_serves_and_measures_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    out, program = tmp_path / "out", tmp_path / "program.py"
    program.write_text(PROGRAM)
    # A folder for temporary files of its own: without locks, as on Windows, other servers would remove this one's.
    own = environment(TMPDIR=str(tmp_path))
    with out.open("wb") as file:
        process = subprocess.Popen([sys.executable, str(program)], env=own, stdout=file, stderr=file)
    try:
        end = time.monotonic() + 30
        while not (said := out.read_text()).endswith("stops it)\n"):
            assert process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.05)
        # uvicorn listens a moment after the address was printed.
        wait_for(lambda: is_answering(said.split()[3]))
        files = {"image": ("a.png", encoded(pixels("RGB"), "PNG"))}
        answers = [httpx.post(f"{said.split()[3]}/intensity", files=files, timeout=30) for _ in range(2)]
        assert [(answer.status_code, answer.headers["x-cache"]) for answer in answers] == [(200, "miss"), (200, "hit")]
        process.send_signal(2)
        assert process.wait(60) == 0
        assert "Traceback" not in out.read_text()
    finally:
        process.kill()
        process.wait()
    assert os.name == "posix"
