"""Live progress: which jobs have changed, told to everybody in this process who listens.

A message can get lost (Redis restarts, the network drops), so listeners look into the database now and then anyway;
without Redis they only hear nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator

from redis.asyncio.client import PubSub

from app.integrations.outage import Outage
from app.integrations.queue import CHANGES_CHANNEL, REDIS_TROUBLE, open_redis, unpack_ids

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0
# How often an idle connection is asked whether it still lives.
_IDLE_CHECK_S = 15.0


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
        self._outage = Outage("redis (live progress)")
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen, in the background; Redis need not be there yet."""
        self._task = asyncio.create_task(self._keep_listening(), name="progress")

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
        """Return once Redis has confirmed the subscription."""
        await self._listening.wait()

    async def _keep_listening(self) -> None:
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(CHANGES_CHANNEL)
                    delay_s = _FIRST_DELAY_S
                    await self._listen(channel)
            except REDIS_TROUBLE as error:
                self._outage.failed(error)
            self._listening.clear()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)

    async def _listen(self, channel: PubSub) -> None:
        while True:
            message = await channel.get_message(timeout=_IDLE_CHECK_S)
            self._outage.passed()
            if message is None:
                continue
            if message["type"] == "subscribe":
                self._listening.set()
            if message["type"] == "message":
                self._spread(unpack_ids(message["data"]))

    def _spread(self, job_ids: set[uuid.UUID]) -> None:
        for subscription in self._subscriptions:
            subscription.add(job_ids)
