"""Signals that end a run: the program decides where, so that no row is torn."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asks this program to end. Not an Exception, as KeyboardInterrupt is none."""


class Stop:
    """Which signal has asked this program to end, if any. A second one ends it at once.

    gentle: only note the first signal, and let the program look at `signal`. Otherwise it raises Stopped.
    """

    def __init__(self) -> None:
        """Nothing has been asked."""
        self.signal: int | None = None
        self.gentle = False

    @property
    def exit_code(self) -> int:
        """What a shell reports for a program that was ended by the signal: 130 for Ctrl+C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receive the signals within this block."""
        before = {number: signal.signal(number, self._receive) for number in SIGNALS if not ignored(number)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal."""
        if self.signal is not None:
            # The measuring processes notice it and end, too.
            os._exit(128 + number)
        self.signal = number
        if not self.gentle:
            raise Stopped


def ignored(number: int) -> bool:
    """Return whether a signal is ignored from the start: `nohup` does that, and a shell for what runs behind it."""
    return signal.getsignal(number) == signal.SIG_IGN
