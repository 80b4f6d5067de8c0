"""Signals that end a run: the program chooses the moment, so that no row is torn."""

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
    """A signal asks this program to end. Like KeyboardInterrupt, it is no Exception."""


class Stop:
    """Which signal has asked this program to end, if any. A second one ends it at once.

    gentle: only note the first signal, and let the program look at `signal`. Otherwise it raises Stopped.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.gentle = False

    @property
    def exit_code(self) -> int:
        """The exit code that shells report for this signal: 130 for Ctrl+C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)

    @contextmanager
    def listening(self) -> Iterator[None]:
        # What is ignored at the start stays so, as by `nohup` or by a shell for a program in the background.
        heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._receive) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            # The measuring processes notice that their parent is gone, and end, too.
            os._exit(128 + number)
        self.signal = number
        if not self.gentle:
            raise Stopped
