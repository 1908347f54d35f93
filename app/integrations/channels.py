"""Listen to a channel of Redis for as long as a process lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from app.integrations.outage import Outage
from app.integrations.queue import REDIS_TROUBLE

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0
# How often an idle connection is asked whether it still lives.
_IDLE_CHECK_S = 15.0


class Channel:
    """A subscription that comes back by itself; what is said meanwhile is lost.

    Args:
        redis: the client; it stays the caller's to close.
        name: the channel's.
        hear: called with each message.
        begin: called each time Redis has confirmed the subscription.
        outage: told of trouble and of its end.
    """

    def __init__(
        self, redis: Redis, name: str, hear: Callable[[bytes], None], *, begin: Callable[[], None], outage: Outage
    ) -> None:
        self._redis = redis
        self._name = name
        self._hear = hear
        self._begin = begin
        self._outage = outage

    async def keep_listening(self) -> None:
        """Listen until cancelled."""
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(self._name)
                    delay_s = _FIRST_DELAY_S
                    await self._listen(subscription)
            except REDIS_TROUBLE as error:
                self._outage.failed(error)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)

    async def _listen(self, subscription: PubSub) -> None:
        while True:
            message = await subscription.get_message(timeout=_IDLE_CHECK_S)
            self._outage.passed()
            if message is None:
                continue
            if message["type"] == "subscribe":
                self._begin()
            if message["type"] == "message":
                self._hear(message["data"])
