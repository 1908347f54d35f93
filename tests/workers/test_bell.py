"""The loop that answers the doorbell, with a real Valkey."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

import pytest
from structlog.testing import capture_logs

from app.db.uow import Wakeup
from app.domain.ids import new_id
from app.integrations import queue
from app.integrations.queue import ANALYSIS_QUEUE, BULK_QUEUE, RedisOutside
from app.integrations.valkey import EmbeddedValkey
from workers import bell
from workers.bell import Line, answer


@pytest.fixture
def valkey(tmp_path):
    server = EmbeddedValkey(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def outside(valkey, monkeypatch):
    monkeypatch.setattr(queue, "_PAUSE_AFTER_FAILURE_S", 0.0)
    outside = RedisOutside(valkey.url)
    yield outside
    await outside.close()


class Listener:
    """Calls that wait until ``go``, or return at once if it is set already."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running = 0
        self.most = 0
        self.heard: list[str] = []
        self.cancelled: list[str] = []
        self.released: list[list[str]] = []
        self.changed = asyncio.Condition()

    async def ring(self, job_id: str) -> None:
        async with self.changed:
            self.heard.append(job_id)
            self.running += 1
            self.most = max(self.most, self.running)
            self.changed.notify_all()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(job_id)
            raise
        finally:
            self.running -= 1

    def release(self, job_ids: Collection[str]) -> None:
        self.released.append(sorted(job_ids))
        self.go.set()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: len(self.heard) >= count)


@contextlib.asynccontextmanager
async def answering(valkey, listener, *, queue_name=ANALYSIS_QUEUE, **options):
    stop = asyncio.Event()
    line = Line(redis_url=valkey.url, queue_name=queue_name, max_jobs=2)
    settings = {"drain_s": 10.0, "release": listener.release, **options}
    task = asyncio.create_task(answer(line, listener.ring, stop, **settings))
    yield stop
    stop.set()
    async with asyncio.timeout(30):
        await task


async def ring(outside, count: int) -> list[str]:
    ids = [new_id() for _ in range(count)]
    await outside.wake([Wakeup(job_id, 0) for job_id in ids])
    return [str(job_id) for job_id in ids]


async def test_no_more_than_max_jobs_run_at_once_and_all_are_heard_once(valkey, outside):
    listener = Listener()
    async with answering(valkey, listener):
        ids = await ring(outside, 5)
        await listener.wait_for(2)
        listener.go.set()
        await listener.wait_for(5)
    assert sorted(listener.heard) == sorted(ids)
    assert listener.most == 2


async def test_it_looks_when_it_is_rung_and_when_a_call_has_ended(valkey, outside, monkeypatch):
    """Not just now and then: somebody waits for the first, and with many short jobs a place would stay empty."""
    monkeypatch.setattr(bell, "_LOOK_ANYWAY_S", 3_600.0)
    listener = Listener()
    listener.go.set()
    async with answering(valkey, listener):
        first = await ring(outside, 1)
        await listener.wait_for(1)
        more = await ring(outside, 7)
        await listener.wait_for(8)
    assert sorted(listener.heard) == sorted(first + more)


async def test_rings_that_nobody_heard_are_found_anyway(valkey, outside, monkeypatch):
    monkeypatch.setattr(queue, "rings_channel", lambda queue_name: f"{queue_name}:elsewhere")
    listener = Listener()
    listener.go.set()
    async with answering(valkey, listener):
        for count in (1, 2):
            await ring(outside, 1)
            await listener.wait_for(count)


async def test_it_listens_again_after_the_queue_was_lost(valkey, outside, monkeypatch):
    monkeypatch.setattr(bell, "_REDIS_RETRIES", 0)
    listener = Listener()
    listener.go.set()
    async with answering(valkey, listener):
        first = await ring(outside, 1)
        await listener.wait_for(1)
        valkey.stop()
        valkey.start()
        second = await ring(outside, 1)
        await listener.wait_for(2)
    assert listener.heard == first + second


async def test_a_lost_queue_interrupts_no_call(valkey, outside, monkeypatch):
    """What is at work goes on, counts among those that may run at once, and is released at the stop like the others."""
    monkeypatch.setattr(bell, "_REDIS_RETRIES", 0)
    listener = Listener()
    async with answering(valkey, listener, drain_s=0.1):
        before = await ring(outside, 1)
        await listener.wait_for(1)
        valkey.stop()
        valkey.start()
        after = await ring(outside, 2)
        await listener.wait_for(2)
        assert listener.running == 2
    assert listener.cancelled == []
    assert listener.most == 2
    (released,) = listener.released
    assert set(released) <= {*before, *after}
    assert before[0] in released


async def test_a_stop_while_there_is_no_queue_releases_what_is_at_work(valkey, outside, monkeypatch):
    monkeypatch.setattr(bell, "_REDIS_RETRIES", 0)
    monkeypatch.setattr(bell, "_FIRST_DELAY_S", 60.0)
    listener = Listener()
    with capture_logs() as lines:
        async with answering(valkey, listener, drain_s=0.1):
            ids = await ring(outside, 1)
            await listener.wait_for(1)
            valkey.stop()
            while not any("listening again" in line["event"] for line in lines):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert listener.released == [ids]
    assert listener.cancelled == []


async def test_it_starts_before_redis_does(valkey, outside, monkeypatch):
    monkeypatch.setattr(bell, "_REDIS_RETRIES", 0)
    valkey.stop()
    listener = Listener()
    listener.go.set()
    async with answering(valkey, listener):
        valkey.start()
        await ring(outside, 1)
        await listener.wait_for(1)


async def test_at_a_stop_calls_are_released_after_the_drain_time(valkey, outside):
    listener = Listener()
    async with answering(valkey, listener, drain_s=0.1) as stop:
        ids = await ring(outside, 2)
        await listener.wait_for(2)
        stop.set()
    assert listener.released == [sorted(ids)]
    assert listener.cancelled == []


async def test_a_full_bulk_queue_keeps_nobody_waiting_in_the_other(valkey, outside):
    many, single = Listener(), Listener()
    async with answering(valkey, many, queue_name=BULK_QUEUE), answering(valkey, single):
        await outside.wake([Wakeup(new_id(), 0, bulk=True) for _ in range(50)])
        await many.wait_for(2)
        ids = await ring(outside, 1)
        await single.wait_for(1)
        assert single.heard == ids
        assert many.running == 2
        single.go.set()
        many.go.set()
        await many.wait_for(50)


async def test_calls_that_do_not_let_go_are_cancelled(valkey, outside, monkeypatch):
    monkeypatch.setattr(bell, "_CLOSE_TIMEOUT_S", 0.2)
    listener = Listener()
    async with answering(valkey, listener, drain_s=0.0, release=lambda _: None) as stop:
        ids = await ring(outside, 1)
        await listener.wait_for(1)
        stop.set()
    assert listener.cancelled == ids
