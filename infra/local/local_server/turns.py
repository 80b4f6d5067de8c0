"""Turns with what takes one image at a time: first come, first served, and nobody waits whose client has gone."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from starlette.requests import ClientDisconnect

from contract.problems import ProblemCode, ProblemError
from local_server.bodies import current

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

T = TypeVar("T")


class Turns(Generic[T]):
    """Some things, each of which one caller has at a time."""

    def __init__(self, things: Iterable[T], seconds: float) -> None:
        """Let callers wait so many seconds for their turn."""
        self.idle, self.seconds = deque(things), seconds
        self.waiting: deque[tuple[Collection[T], asyncio.Future[T]]] = deque()

    async def take(self, *wanted: T) -> T:
        """Return the first idle thing of those that are wanted, or of all, when it is the caller's turn.

        Raises ProblemError: processor_busy; ClientDisconnect if the client of the request has gone before.
        """
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.waiting.append((wanted, turn))
        self.hand_out()
        body = current.get()
        gone = asyncio.ensure_future(body.client_gone()) if body and not turn.done() else None
        try:
            waited_for: list[asyncio.Future[Any]] = [turn, gone] if gone else [turn]
            await asyncio.wait(waited_for, timeout=self.seconds, return_when="FIRST_COMPLETED")
        except asyncio.CancelledError:
            if turn.done():
                self.give_back(turn.result())
            raise
        finally:
            turn.cancel()
            if gone:
                gone.cancel()
        if not turn.cancelled():
            return turn.result()
        raise ClientDisconnect if gone and gone.done() else ProblemError(ProblemCode.PROCESSOR_BUSY)

    def give_back(self, thing: T, *, first: bool = True) -> None:
        """Let another caller have a thing. first: before others that are idle."""
        if first:
            self.idle.appendleft(thing)
        else:
            self.idle.append(thing)
        self.hand_out()

    def hand_out(self) -> None:
        """Give idle things to those who wait, in their order."""
        for waiter in list(self.waiting):
            wanted, turn = waiter
            thing = next((each for each in wanted or self.idle if each in self.idle), None)
            if turn.done():
                self.waiting.remove(waiter)
            elif thing is not None:
                self.waiting.remove(waiter)
                self.idle.remove(thing)
                turn.set_result(thing)
