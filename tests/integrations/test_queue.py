"""The doorbell: rings, never raises, never waits long, comes back by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from structlog.testing import capture_logs

from app.db.uow import Outside, Wakeup
from app.domain.ids import new_id
from app.integrations import queue
from app.integrations.queue import ANALYSIS_QUEUE, RedisOutside, open_queue, open_redis, pack_ids, unpack_ids


@pytest.fixture
async def outside(valkey):
    outside = RedisOutside(valkey.url)
    yield outside
    await outside.close()


def as_outside(outside: RedisOutside) -> Outside:
    return outside


async def queued_ids(valkey) -> list[str]:
    arq = open_queue(valkey.url, retries=0)
    jobs = await arq.queued_jobs()
    await arq.aclose()
    return [job.job_id for job in jobs]


async def test_a_ring_is_heard_by_workers_whose_clock_is_behind(outside, valkey):
    await as_outside(outside).wake([Wakeup(new_id(), 0)])
    async with open_redis(valkey.url) as redis:
        [(_, not_before_ms)] = await redis.zrange(ANALYSIS_QUEUE, 0, -1, withscores=True)
    assert not_before_ms < time.time() * 1000 - 10 * 365 * 86_400_000


async def test_a_wakeup_is_queued_once_for_each_attempt(outside, valkey):
    job_id = new_id()
    await as_outside(outside).wake([Wakeup(job_id, 0), Wakeup(job_id, 0), Wakeup(job_id, 1)])
    assert await queued_ids(valkey) == [f"{job_id}:0", f"{job_id}:1"]


async def test_the_queue_speaks_messagepack_and_keeps_a_month(outside, valkey):
    job_id = new_id()
    await outside.wake([Wakeup(job_id, 0)])
    arq = open_queue(valkey.url, retries=0)
    (job,) = await arq.queued_jobs()
    assert (job.function, job.args) == ("analyse", [str(job_id)])
    assert not (await arq.get(f"arq:job:{job_id}:0")).startswith(b"\x80\x04")  # how a pickle begins
    assert await arq.pttl(f"arq:job:{job_id}:0") > 29 * 24 * 3600 * 1000
    await arq.aclose()


async def test_without_redis_nothing_is_raised_and_the_log_gets_one_line(outside, valkey):
    valkey.stop()
    with capture_logs() as lines:
        async with asyncio.timeout(10):
            for _ in range(50):
                await outside.wake([Wakeup(new_id(), 0)])
                await outside.tell([new_id()])
    assert [line["event"] for line in lines] == ["unreachable"]


async def test_a_redis_that_hangs_holds_nobody_up(outside, valkey, monkeypatch):
    monkeypatch.setattr(queue, "_RING_TIMEOUT_S", 0.2)
    await outside.check()
    os.kill(valkey.pid, signal.SIGSTOP)
    async with asyncio.timeout(5):
        await outside.wake([Wakeup(new_id(), 0)])
    os.kill(valkey.pid, signal.SIGCONT)


async def test_it_rings_again_once_redis_is_back(outside, valkey, monkeypatch):
    monkeypatch.setattr(queue, "_PAUSE_AFTER_FAILURE_S", 0.0)
    valkey.stop()
    lost, heard = new_id(), new_id()
    await outside.wake([Wakeup(lost, 0)])
    valkey.start()
    await outside.wake([Wakeup(heard, 0)])
    assert await queued_ids(valkey) == [f"{heard}:0"]


async def test_check_tells_whether_redis_answers(outside, valkey):
    await outside.check()
    valkey.stop()
    with pytest.raises(queue.REDIS_TROUBLE):
        await outside.check()


def test_ids_survive_the_way_through_a_message():
    ids = [new_id() for _ in range(3)]
    assert unpack_ids(pack_ids(ids)) == set(ids)
    assert unpack_ids(pack_ids(ids) + b"rest") == set(ids)
    assert unpack_ids(b"") == set()
