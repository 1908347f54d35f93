"""Live progress: which jobs have changed, told to everybody in this process who listens.

A message can get lost (Redis restarts, the network drops), so listeners look into the database now and then anyway;
without Redis they only hear nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator

from app.integrations.channels import Channel
from app.integrations.outage import Outage
from app.integrations.queue import CHANGES_CHANNEL, open_redis, unpack_ids


class Subscription:
    """One listener: collects ids until they are asked for."""

    def __init__(self) -> None:
        self._changed: set[uuid.UUID] = set()
        self._news = asyncio.Event()

    def add(self, job_ids: set[uuid.UUID]) -> None:
        self._changed |= job_ids
        self._news.set()

    async def wait(self, timeout_s: float) -> set[uuid.UUID]:
        """The jobs that have changed since the last call; waits for one, and returns none after ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        self._news.clear()
        changed, self._changed = self._changed, set()
        return changed


class Progress:
    """One connection to Redis for all subscriptions of this process; it comes back by itself."""

    def __init__(self, redis_url: str) -> None:
        self._redis = open_redis(redis_url)
        self._subscriptions: set[Subscription] = set()
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()
        outage = Outage("redis (live progress)")
        self._channel = Channel(self._redis, CHANGES_CHANNEL, self._spread, begin=self._listening.set, outage=outage)

    async def start(self) -> None:
        """Begin to listen, in the background; Redis need not be there yet."""
        self._task = asyncio.create_task(self._channel.keep_listening(), name="progress")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._redis.aclose()

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def wait_until_listening(self) -> None:
        """Return once Redis has confirmed the subscription for the first time."""
        await self._listening.wait()

    def _spread(self, message: bytes) -> None:
        job_ids = unpack_ids(message)
        for subscription in self._subscriptions:
            subscription.add(job_ids)
