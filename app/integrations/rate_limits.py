"""How much each caller has asked for, counted in Redis, so that all web processes count together."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from app.integrations.outage import Outage
from app.integrations.queue import REDIS_TROUBLE, open_redis

# One script, so that no other process counts in between, and no counter is left without an end.
_TAKE = """
local taken = redis.call('INCRBY', KEYS[1], ARGV[1])
if taken == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {taken, redis.call('PTTL', KEYS[1])}
"""
_KEY_PREFIX = "earmark:rate:"
_ANSWER_TIMEOUT_S = 0.5
_PAUSE_AFTER_FAILURE_S = 2.0


@dataclass(frozen=True, slots=True)
class Taken:
    """How many requests there were in the current window, these included, and when the next one begins."""

    count: int
    left_s: float


class RateLimits:
    """Counts in fixed windows. Without Redis nothing is counted: a limit protects, it must not shut the door."""

    def __init__(self, redis_url: str) -> None:
        self._redis = open_redis(redis_url)
        self._script = self._redis.register_script(_TAKE)
        self._outage = Outage("redis (rate limits)")
        self._silent_until_s = 0.0

    async def take(self, caller: str, count: int, window_s: float) -> Taken | None:
        """Count ``count`` requests of ``caller``; None if Redis does not answer."""
        if time.monotonic() < self._silent_until_s:
            return None
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                taken, left_ms = await self._script(keys=[_KEY_PREFIX + caller], args=[count, int(window_s * 1000)])
        except REDIS_TROUBLE as error:
            self._silent_until_s = time.monotonic() + _PAUSE_AFTER_FAILURE_S
            self._outage.failed(error)
            return None
        self._outage.passed()
        return Taken(int(taken), max(int(left_ms), 0) / 1000)

    async def close(self) -> None:
        await self._redis.aclose()
