"""An HTTP worker's request, as the broker sees it: one connection, which the worker closes when it gives up."""

from __future__ import annotations

import asyncio
import json
import select
from typing import TYPE_CHECKING, TypeVar

from contract.invocation import problem_answer
from contract.problems import ProblemError

if TYPE_CHECKING:
    import socket

    from contract.problems import ProblemCode

Turn = TypeVar("Turn")


class BusyError(Exception):
    """It was not this request's turn for as long as it may wait."""


class GoneError(Exception):
    """The worker has closed its connection."""


class Caller:
    """A request. It may wait for its turns until `end`, by the loop's clock."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        """Wait for turns for so many seconds from now."""
        self.connection = connection
        self.end = asyncio.get_running_loop().time() + seconds

    async def wait_for(self, turn: asyncio.Future[Turn]) -> Turn:
        """Wait until `turn` has a result. Raises BusyError, GoneError, or what `turn` raises."""
        try:
            async with asyncio.timeout_at(self.end):
                return await turn
        except TimeoutError:
            if turn.cancelled():
                raise BusyError from None
            # It came in the same moment.
            return turn.result()

    def offer(self, turn: asyncio.Future[Turn], result: Turn) -> bool:
        """Give `turn` its result, and return whether it is wanted: the caller may have given up, or be gone."""
        if turn.done():
            return False
        if self.is_gone():
            turn.set_exception(GoneError)
            return False
        turn.set_result(result)
        return True

    def is_gone(self) -> bool:
        """Return whether the worker has closed its connection. What it has sent may still be there to be read."""
        poll = select.poll()
        # Nothing that could be read is of interest. That the other end is closed is told in any case.
        poll.register(self.connection, 0)
        return bool(poll.poll(0))


def problem(code: ProblemCode, detail: str) -> bytes:
    """Return the answer that says what is wrong."""
    return json.dumps(problem_answer(ProblemError(code, detail))).encode() + b"\n"
