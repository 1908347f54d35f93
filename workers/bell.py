"""Answer the doorbell: run arq workers one after the other until told to stop.

arq's own worker ends when Redis restarts or a pipeline is interrupted; a new one takes over here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix
from arq.worker import Worker, func

from app.integrations.channels import Channel
from app.integrations.outage import Outage
from app.integrations.queue import ANALYSE, REDIS_TROUBLE, open_queue, rings_channel

log = structlog.get_logger(__name__)

Ring = Callable[[str], Awaitable[None]]
# Called with the ids of the jobs that shall not go on.
Release = Callable[[Collection[str]], None]

# arq marks a job as running for its longest timeout, which would keep the job of a killed worker waiting for as long.
# So the mark is short and refreshed while the job runs.
_MARK_S = 15.0
_MARK_REFRESH_S = 4.0
# Redis says when there is something to do, but it may be lost: a worker looks so often anyway.
_LOOK_ANYWAY_S = 0.5
# A whole recording may have 24 hours.
_JOB_TIMEOUT_S = 86_400.0
# The database counts the attempts that matter.
_MAX_TRIES = 1_000_000
# Together about a minute of waiting for Redis before arq's worker gives up.
_REDIS_RETRIES = 30
_CLOSE_TIMEOUT_S = 5.0
_CANCEL_AGAIN_S = 0.2
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 15.0
_CALM_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A queue to listen at, and how many of its jobs may run at once."""

    redis_url: str
    queue_name: str
    max_jobs: int


class _Doorkeeper(Worker):
    """arq's worker. It looks into the queue when ``rung`` is set or a call has ended, where arq's own looks all the time."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.rung = asyncio.Event()

    async def main(self) -> None:
        while True:
            self.rung.clear()
            await self._poll_iteration()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_ANYWAY_S):
                    await self.rung.wait()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        known = set(self.tasks)
        await super().start_jobs(job_ids)
        for arq_id in self.tasks.keys() - known:
            self.tasks[arq_id].add_done_callback(lambda _: self.rung.set())


def _make_worker(ring: Ring, redis: ArqRedis, line: Line) -> _Doorkeeper:
    async def analyse(ctx: dict[Any, Any], job_id: str) -> None:  # noqa: ARG001  arq hands it over
        await ring(job_id)

    worker = _Doorkeeper(
        [func(analyse, name=ANALYSE)],
        queue_name=line.queue_name,
        redis_pool=redis,
        handle_signals=False,
        max_jobs=line.max_jobs,
        job_timeout=_JOB_TIMEOUT_S,
        keep_result=0,
        max_tries=_MAX_TRIES,
        health_check_interval=timedelta(minutes=1),
        job_serializer=redis.job_serializer,
        job_deserializer=redis.job_deserializer,
        expires_extra_ms=redis.expires_extra_ms,
        log_results=False,
    )
    worker.in_progress_timeout_s = _MARK_S
    return worker


async def _refresh_marks(worker: Worker, redis: ArqRedis) -> None:
    while True:
        await asyncio.sleep(_MARK_REFRESH_S)
        with contextlib.suppress(*REDIS_TROUBLE):
            async with redis.pipeline(transaction=False) as pipe:
                for arq_id in worker.tasks:
                    pipe.pexpire(in_progress_key_prefix + arq_id, int(_MARK_S * 1000))
                await pipe.execute()


def _channel(redis: ArqRedis, worker: _Doorkeeper) -> Channel:
    """Wakes the worker at each ring, and when rings may have been lost."""
    name = rings_channel(worker.queue_name)
    return Channel(redis, name, lambda _: worker.rung.set(), begin=worker.rung.set, outage=Outage("redis (rings)"))


class _Calls:
    """The calls in progress. They outlive the arq worker that made them: a Redis that restarts interrupts no analysis."""

    def __init__(self, ring: Ring, at_once: int) -> None:
        self._ring = ring
        self._places = asyncio.Semaphore(at_once)
        self._running: dict[asyncio.Task[None], str] = {}

    async def make(self, job_id: str) -> None:
        call = asyncio.create_task(self._call(job_id))
        self._running[call] = job_id
        call.add_done_callback(self._running.pop)
        await asyncio.shield(call)

    async def end(self, release: Release, drain_s: float) -> None:
        """Let them end within ``drain_s``, have the others released, and cancel those that do not let go."""
        await _wait(set(self._running), drain_s)
        release(frozenset(self._running.values()))
        await _wait(set(self._running), _CLOSE_TIMEOUT_S)
        await _cancel(set(self._running))

    async def _call(self, job_id: str) -> None:
        async with self._places:
            await self._ring(job_id)


async def _close(worker: Worker, redis: ArqRedis, *, wait_s: float) -> None:
    """End arq's worker, after its tasks have had that long to write down what is done."""
    await _wait(set(worker.tasks.values()), wait_s)
    # Not Worker.close(): it calls what redis has deprecated, and waits for ever for jobs and for Redis.
    await _cancel({*worker.tasks.values(), *([worker.main_task] if worker.main_task else [])})
    with contextlib.suppress(*REDIS_TROUBLE):
        await redis.aclose()


async def _wait(tasks: set[asyncio.Task[Any]], timeout_s: float) -> None:
    if tasks and timeout_s > 0:
        await asyncio.wait(tasks, timeout=timeout_s)


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """End the tasks. A client that is just connecting may swallow a cancellation, so it is repeated."""
    deadline_s = time.monotonic() + _CLOSE_TIMEOUT_S
    pending = tasks
    while pending and time.monotonic() < deadline_s:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
    await asyncio.gather(*(tasks - pending), return_exceptions=True)  # so that no exception goes unnoticed by asyncio


async def _listen(redis: ArqRedis, worker: _Doorkeeper, stopped: asyncio.Task[bool]) -> BaseException | None:
    """Run the worker until it ends, or until it shall; returns what ended it."""
    loop = asyncio.create_task(worker.async_run())
    marks = asyncio.create_task(_refresh_marks(worker, redis))
    ears = asyncio.create_task(_channel(redis, worker).keep_listening())
    await asyncio.wait({loop, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await _cancel({marks, ears})
    return loop.exception() if loop.done() and not loop.cancelled() else None


async def answer(line: Line, ring: Ring, stop: asyncio.Event, *, drain_s: float, release: Release) -> None:
    """Call ``ring`` with the id of each job that is rung for, until ``stop``.

    Then running calls may end within ``drain_s``; after that ``release`` is called with those that have not, and must make
    them return.
    """
    calls = _Calls(ring, line.max_jobs)
    stopped = asyncio.create_task(stop.wait())
    delay_s = _FIRST_DELAY_S
    while not stop.is_set():
        started_s = time.monotonic()
        redis = open_queue(line.redis_url, retries=_REDIS_RETRIES)
        worker = _make_worker(calls.make, redis, line)
        error = await _listen(redis, worker, stopped)
        worker.allow_pick_jobs = False
        if stop.is_set():
            await calls.end(release, drain_s)
            await _close(worker, redis, wait_s=_CLOSE_TIMEOUT_S)
            break
        await _close(worker, redis, wait_s=0)
        delay_s = _FIRST_DELAY_S if time.monotonic() - started_s > _CALM_S else delay_s
        log.warning(
            "the queue was lost, listening again", queue=line.queue_name, error=repr(error)[:300], delay_s=delay_s
        )
        await asyncio.wait({stopped}, timeout=delay_s)
        delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
    else:
        await calls.end(release, drain_s)  # the stop came while there was no queue
    stopped.cancel()
