"""The doorbell: arq jobs for workers, channels that wake them, and one that tells web processes which jobs have changed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.integrations.outage import Outage

ANALYSIS_QUEUE = "earmark:analysis"
BULK_QUEUE = "earmark:analysis-bulk"
ANALYSE = "analyse"
CHANGES_CHANNEL = "earmark:changed-jobs"

# What a Redis that is down, restarting or out of reach makes its client raise.
REDIS_TROUBLE = (RedisError, OSError, TimeoutError)
_TRY_AGAIN: list[type[Exception]] = [RedisConnectionError, RedisTimeoutError, OSError]
# arq forgets a job that nobody started for this long; the sweep rings again anyway.
_EXPIRES = timedelta(days=30)
# arq starts nothing before the moment it was enqueued at, by the worker's own clock. Two machines' clocks differ, and one may
# be set back: so every ring is of the same moment, long ago. Of one moment arq takes the lower id first, which is the older.
_AT_ONCE = datetime(1970, 1, 2, tzinfo=UTC)
_ANSWER_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 2.0
# A request waits this long at most, and after a failure none waits at all for a while.
_RING_TIMEOUT_S = 3.0
_PAUSE_AFTER_FAILURE_S = 2.0
_ID_BYTES = 16


def _connections(url: str, *, retries: int, answer_timeout_s: float | None = _ANSWER_TIMEOUT_S) -> ConnectionPool:
    return ConnectionPool.from_url(
        url,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=answer_timeout_s,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=2, base=0.05), retries),
        retry_on_error=_TRY_AGAIN,
    )


def open_redis(url: str) -> Redis:
    """A client for publish and subscribe, which tries again by itself only once."""
    return Redis.from_pool(_connections(url, retries=1, answer_timeout_s=None))


def open_queue(url: str, *, retries: int) -> ArqRedis:
    """A client of the analysis queues. ``retries``: how often a call is repeated while Redis is away (0.05 s to 2 s apart)."""
    queue = ArqRedis(
        _connections(url, retries=retries),
        job_serializer=msgspec.msgpack.encode,
        job_deserializer=msgspec.msgpack.decode,
        default_queue_name=ANALYSIS_QUEUE,
        expires_extra_ms=int(_EXPIRES.total_seconds() * 1000),
    )
    # A pool that was handed over is not closed with its client otherwise.
    queue.auto_close_connection_pool = True
    return queue


class Wakeup(Protocol):
    """What ``app.db.uow.Wakeup`` looks like from here: this floor does not know that one."""

    @property
    def job_id(self) -> uuid.UUID: ...

    @property
    def attempt(self) -> int: ...

    @property
    def bulk(self) -> bool: ...


def _queue_of(wakeup: Wakeup) -> str:
    return BULK_QUEUE if wakeup.bulk else ANALYSIS_QUEUE


def rings_channel(queue_name: str) -> str:
    """Where it is said at once that something was put into this queue; the queue is what counts."""
    return f"{queue_name}:rings"


def pack_ids(ids: Sequence[uuid.UUID]) -> bytes:
    return b"".join(job_id.bytes for job_id in ids)


def unpack_ids(message: bytes) -> set[uuid.UUID]:
    """The ids of a message; bytes that are no whole id are passed over."""
    starts = range(0, len(message) - _ID_BYTES + 1, _ID_BYTES)
    return {uuid.UUID(bytes=message[start : start + _ID_BYTES]) for start in starts}


class RedisOutside:
    """Rings and tells through Redis. Never raises and never waits long: the database is the truth, a sweep rings again."""

    def __init__(self, redis_url: str) -> None:
        self._queue = open_queue(redis_url, retries=1)
        self._outage = Outage("redis")
        self._silent_until_s = 0.0

    async def wake(self, wakeups: Sequence[Wakeup]) -> None:
        await self._try(self._enqueue(wakeups))

    async def tell(self, changed_jobs: list[uuid.UUID]) -> None:
        await self._try(self._publish(changed_jobs))

    async def check(self) -> None:
        """Raise one of REDIS_TROUBLE if Redis does not answer."""
        async with asyncio.timeout(_RING_TIMEOUT_S):
            await self._queue.ping()

    async def close(self) -> None:
        await self._queue.aclose()

    async def _enqueue(self, wakeups: Sequence[Wakeup]) -> None:
        for wakeup in wakeups:
            job_id = f"{wakeup.job_id}:{wakeup.attempt}"
            queue = _queue_of(wakeup)
            await self._queue.enqueue_job(
                ANALYSE, str(wakeup.job_id), _job_id=job_id, _queue_name=queue, _defer_until=_AT_ONCE, _expires=_EXPIRES
            )
        for queue in {_queue_of(wakeup) for wakeup in wakeups}:
            await self._queue.publish(rings_channel(queue), b"")

    async def _publish(self, changed_jobs: list[uuid.UUID]) -> None:
        await self._queue.publish(CHANGES_CHANNEL, pack_ids(changed_jobs))

    async def _try(self, call: Coroutine[None, None, None]) -> None:
        if time.monotonic() < self._silent_until_s:
            call.close()
            return
        try:
            async with asyncio.timeout(_RING_TIMEOUT_S):
                await call
        except REDIS_TROUBLE as error:
            self._silent_until_s = time.monotonic() + _PAUSE_AFTER_FAILURE_S
            self._outage.failed(error)
        else:
            self._outage.passed()
