"""Whose turn it is to write to SQLite: first come, first served, over all processes that share the file."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

# How often somebody who waits looks again. A look takes microseconds; a short transaction takes a millisecond or two.
_LOOK_AGAIN_S = 0.001


class Turns:
    """SQLite lets those who wait for its one writer sleep up to 100 ms between two looks, so a process that writes again and
    again keeps all others out for seconds. Here who has written lets the next one pass before it writes again.

    It's about order alone: SQLite's own lock keeps writers apart, also from one who didn't ask for a turn. The locks are the
    kernel's and end with their process.
    """

    def __init__(self, database: Path, *, patience_s: float) -> None:
        self._line = asyncio.Lock()  # the writers of this process: one of them at a time stands for it outside
        self._paths = [database.with_name(f"{database.name}-{name}") for name in ("next", "turn")]
        self._files: list[int] = []
        self._patience_s = patience_s

    async def take(self) -> None:
        """Wait for a turn. Who can't have one, or has waited ``patience_s``, goes in without: SQLite then says why."""
        await self._line.acquire()
        try:
            await self._take_outside()
        except BaseException:
            self.give_back()
            raise

    def give_back(self) -> None:
        for file in self._files:
            fcntl.flock(file, fcntl.LOCK_UN)
        self._line.release()

    def close(self) -> None:
        while self._files:
            os.close(self._files.pop())

    async def _take_outside(self) -> None:
        """Become the next one, then wait for the end of the turn: whoever has it finds the place of the next one taken after it."""
        try:
            following, turn = self._opened()
        except OSError:
            return
        try:
            async with asyncio.timeout(self._patience_s):
                await _locked(following)
                await _locked(turn)
        except TimeoutError:
            pass
        finally:
            fcntl.flock(following, fcntl.LOCK_UN)

    def _opened(self) -> list[int]:
        while len(self._files) < len(self._paths):
            self._files.append(os.open(self._paths[len(self._files)], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return self._files


class Turn:
    """One writer's turn, which begins with its transaction: who has opened a session but not asked for anything keeps nobody waiting."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._taken = False

    async def take(self) -> None:
        await self._turns.take()
        self._taken = True

    def end(self) -> None:
        if self._taken:
            self._turns.give_back()
        self._taken = False


async def _locked(file: int) -> None:
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_LOOK_AGAIN_S)
