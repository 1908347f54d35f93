"""Who goes first: what a person waits for passes what nobody waits for, but not for ever."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

# Bulk that waits gets one turn after this many urgent ones, so that a busy day does not stop it altogether.
URGENT_TURNS = 7


class Lanes(Generic[T]):
    """Two queues, each first in first out; the urgent one goes first. Belongs to one thread."""

    def __init__(self) -> None:
        self._urgent: deque[T] = deque()
        self._bulk: deque[T] = deque()
        self._turns = 0  # of urgent ones since bulk has been waiting

    def __len__(self) -> int:
        return len(self._urgent) + len(self._bulk)

    def add(self, items: Iterable[T], *, urgent: bool) -> None:
        (self._urgent if urgent else self._bulk).extend(items)

    def take(self) -> T | None:
        """The next one, or None if nobody waits."""
        if self._urgent and not (self._bulk and self._turns >= URGENT_TURNS):
            self._turns = self._turns + 1 if self._bulk else 0
            return self._urgent.popleft()
        self._turns = 0
        return self._bulk.popleft() if self._bulk else None

    def drain(self) -> list[T]:
        """Everything that is left."""
        left = [*self._urgent, *self._bulk]
        self._urgent.clear()
        self._bulk.clear()
        return left


class Slots:
    """A semaphore with two lanes: at most ``count`` are inside at once. Belongs to one event loop."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: Lanes[asyncio.Future[None]] = Lanes()

    @asynccontextmanager
    async def one(self, *, urgent: bool) -> AsyncIterator[None]:
        await self._enter(urgent=urgent)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, *, urgent: bool) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add([turn], urgent=urgent)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # our turn came while we were leaving
                self._leave()
            raise

    def _leave(self) -> None:
        """Hand the place to the next who still waits."""
        while (turn := self._waiting.take()) is not None:
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
