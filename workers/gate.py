"""Many pass together, or one alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """A worker works on many jobs at once, but on one that may have killed a worker before with no other beside it.

    Otherwise such a job would take its neighbours with it each time, until they too count as lost too often.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._together = 0
        self._alone = 0  # inside or waiting: whoever comes later waits behind them

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._alone == 0)
            self._together += 1
        try:
            yield
        finally:
            await self._leave_together()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        self._alone += 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self._together == 0)
                yield
        finally:
            self._alone -= 1
            async with self._changed:
                self._changed.notify_all()

    async def step_aside(self) -> None:
        """Let those be alone now who wait for it; for who is inside together, and stays for long."""
        if self._alone:
            await self._leave_together()
            try:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._alone == 0)
            finally:
                self._together += 1  # also if cancelled: the context that we are in will leave

    async def _leave_together(self) -> None:
        async with self._changed:
            self._together -= 1
            self._changed.notify_all()
