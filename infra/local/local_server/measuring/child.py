"""The code of a measuring process: it measures one image after the other until the broker closes the pipe.

The broker starts it with the number of an open socket: `python -m local_server.measuring.child 5`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.invocation import Invocation, measurement_answer, problem_answer
from contract.problems import ProblemError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LINE_BYTES = 1 << 16
# The broker ends a process that takes too long. If there is no broker any more, the kernel does, a little later.
ALARM_SECONDS = 5
# An image that decodes into this many bytes or less does not ask for them. Each color photo of 4 megapixels is one.
FREE_BYTES = 1 << 24
# When memory runs out, the kernel ends the process with the highest score (proc(5)): this one, and not a server.
OOM_SCORE = "500"
# Of a process for jobs.
JOB_NICENESS = 10


class WithdrawnError(Exception):
    """The image is not to be measured any more: its worker is gone, or it has waited too long for memory."""


class Child:
    """A measuring process."""

    def __init__(self, pipe: socket.socket) -> None:
        """Read the settings from `pipe`, which leads to the broker."""
        self.pipe = pipe
        start = self.hear()
        self.seconds: float = start["seconds"]
        self.storage: list[Any] | None = start["storage"]
        self.job_bytes: int | None = start["job_bytes"]
        if self.job_bytes is not None:
            # Whoever waits for an answer comes first.
            os.nice(JOB_NICENESS)

    def serve(self) -> None:
        """Say that the process is ready, or why it is not. Then answer each request, until the broker is gone."""
        try:
            # This loads NumPy and the decoders. It is not at the top of the file, because the broker wants the reason.
            import processor.handler  # noqa: F401, PLC0415
        except Exception as error:  # noqa: BLE001 - a broken installation has many faces
            self.send("failure", f"{type(error).__name__}: {error}")
            return
        # Decoders in C and Rust write to standard error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        self.send("ready")
        while True:
            request, [number] = self.receive()
            with socket.socket(fileno=number) as connection:
                connection.settimeout(self.seconds)
                self.send(*self.answer(request, connection))

    def hear(self) -> dict[str, Any]:
        """Return the next message of the broker. Raises EOFError when the broker has gone."""
        return self.receive()[0]

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """Return the next message, and the open connection that came with it, if any. Raises EOFError likewise."""
        message, files, _, _ = socket.recv_fds(self.pipe, LINE_BYTES, 1)
        if not message:
            raise EOFError
        return json.loads(message), files

    def send(self, kind: str, content: object = None) -> None:
        """Send a message to the broker: a line with its kind, and its content in JSON."""
        self.pipe.sendall(f"{kind} {json.dumps(content)}\n".encode())

    def answer(self, request: dict[str, Any], connection: socket.socket) -> tuple[str, object]:
        """Answer a request, and return the message that tells the broker how that went."""
        limit(self.seconds)
        try:
            answer = self.measured(request, connection)
        except WithdrawnError:
            return "withdrawn", None
        except Exception:  # noqa: BLE001 - a bug, or no memory, must cost one image and not the service
            return "failure", traceback.format_exc()
        finally:
            limit(None)
        # The worker may have gone meanwhile.
        with suppress(OSError):
            connection.sendall(json.dumps(answer).encode() + b"\n")
        return "done", None

    def measured(self, request: dict[str, Any], connection: socket.socket) -> dict[str, Any]:
        """Return the contract's answer. Raises WithdrawnError, and whatever storage and decoders raise."""
        from processor.handler import measure_invocation  # noqa: PLC0415 - see serve
        from processor.large import measure_large  # noqa: PLC0415
        from processor.storage import content  # noqa: PLC0415

        try:
            invocation = Invocation.from_event(request["event"], lambda _: read(connection, request["size"]))
            connect = self.connect if self.storage else None
            if self.job_bytes is not None:
                tell = partial(tell_progress, connection, [-1])
                return measurement_answer(measure_large(invocation, self.job_bytes, tell, self.reserve, connect))
            image = content(invocation.image, connect)
            return measurement_answer(measure_invocation(replace(invocation, image=image), self.reserve))
        except ProblemError as problem:
            return problem_answer(problem)

    def connect(self) -> S3Client:
        """Return a client for MiniStack."""
        # These load botocore, and few images are in S3.
        from local_server.storage import Storage  # noqa: PLC0415
        from processor.storage import client_config  # noqa: PLC0415

        return Storage(*self.storage or ()).client(client_config())

    def reserve(self, size: int) -> None:
        """Wait until `size` bytes of memory are free for this image. Raises WithdrawnError."""
        if size <= FREE_BYTES:
            return
        limit(None)
        self.send("needs", size)
        if not self.hear()["granted"]:
            raise WithdrawnError
        limit(self.seconds)


def read(connection: socket.socket, size: int) -> bytes:
    """Return the image that a worker has sent. Raises WithdrawnError if it has gone instead."""
    try:
        # A file, because it reads into one block of memory.
        with connection.makefile("rb") as file:
            image = file.read(size)
    except OSError as error:
        raise WithdrawnError from error
    if len(image) < size:
        raise WithdrawnError
    return image


def tell_progress(connection: socket.socket, told: list[int], share: float) -> None:
    """Tell the worker how much of a job's file has been read, at each further percent. told: the last one, alone."""
    if int(share * 100) > told[0]:
        told[0] = int(share * 100)
        with suppress(OSError):
            connection.sendall(f"{'reading' if share < 1 else 'measuring'} {share:.2f}\n".encode())


def limit(seconds: float | None) -> None:
    """Have the kernel end this process in so many seconds and some more; None: not any more."""
    signal.setitimer(signal.ITIMER_REAL, 0 if seconds is None else seconds + ALARM_SECONDS)


def end_with_broker(pipe: socket.socket) -> None:
    """Wait until the broker has ended, in whatever way, and end this process at once."""
    poll = select.poll()
    # Nothing that can be read is of interest. That the other end is closed is always told.
    poll.register(pipe, 0)
    poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Measure for the broker at the other end of the socket whose number is the only argument."""
    # The parent may have ignored it.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    pipe = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=end_with_broker, args=[pipe], daemon=True).start()
    with suppress(EOFError, OSError):
        Child(pipe).serve()


if __name__ == "__main__":
    main()
