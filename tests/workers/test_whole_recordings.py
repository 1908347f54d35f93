"""A worker at a whole recording: fetched to disk, progress noted, let go when it is no longer ours, stepping aside for others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import update

from app.db.models import Job
from app.domain.jobs import AnalysisScope, JobState
from app.domain.keys import audio_key
from app.services.jobs import cancel_job, get_job
from tests.support.factories import ADMIN, make_job, make_principal
from tests.support.stand_in_worker import StandIn, order
from tests.workers.parts import analyst_with
from workers import analysis


class Slow(StandIn):
    """Reports one step after the other, each when ``go`` lets it."""

    def __init__(self) -> None:
        self.go: asyncio.Queue[float] = asyncio.Queue()
        self.reported: asyncio.Queue[float] = asyncio.Queue()

    async def analyse_whole(self, recording_fd: int, report: Callable[[float | None], Awaitable[None]]):
        while (progress := await self.go.get()) < 1:
            await report(progress)
            self.reported.put_nowait(progress)
        return await super().analyse_whole(recording_fd, report)

    async def step(self, progress: float) -> None:
        self.go.put_nowait(progress)
        await self.reported.get()


@pytest.fixture(autouse=True)
def _every_progress_is_noted(monkeypatch):
    monkeypatch.setattr(analysis, "_PROGRESS_EVERY_S", 0.0)


@pytest.fixture
async def una(store):
    return await make_principal(store)


@pytest.fixture
async def long_job(store, files, una):
    job = await make_job(store, una, scope=AnalysisScope.FULL)
    await files.put_bytes(audio_key(job.asset.id), order("done"))
    return job


async def seen(store, job_id):
    async with store.reading() as uow:
        return await get_job(uow, ADMIN, job_id)


async def test_progress_is_noted_and_told_until_the_result_is_there(store, files, long_job, outside):
    slow = Slow()
    work = asyncio.create_task(analyst_with(store, files, slow).handle(long_job.id))
    async with asyncio.timeout(20):
        for progress in (0.25, 0.5):
            outside.changed_jobs.clear()
            await slow.step(progress)
            job = await seen(store, long_job.id)
            assert (job.state, job.progress, job.scope) == (JobState.RUNNING, progress, AnalysisScope.FULL)
            assert long_job.id in outside.changed_jobs
        slow.go.put_nowait(1)
        await work
    job = await seen(store, long_job.id)
    assert (job.state, job.progress) == (JobState.DONE, None)
    assert job.result is not None
    assert len(job.result.windows) == len(order("done"))


async def test_a_cancelled_one_is_let_go_at_its_next_step(store, files, long_job, una):
    slow = Slow()
    analyst = analyst_with(store, files, slow)
    work = asyncio.create_task(analyst.handle(long_job.id))
    async with asyncio.timeout(20):
        await slow.step(0.25)
        async with store.writing() as uow:
            await cancel_job(uow, una, long_job.id)
        slow.go.put_nowait(0.5)
        await work
    assert slow.reported.empty()
    assert (await seen(store, long_job.id)).state is JobState.CANCELLED
    assert analyst.job_ids == []


async def test_one_given_back_begins_anew(store, files, long_job):
    slow = Slow()
    analyst = analyst_with(store, files, slow)
    work = asyncio.create_task(analyst.handle(long_job.id))
    async with asyncio.timeout(20):
        await slow.step(0.25)
        analyst.release([str(long_job.id)])
        await work
    job = await seen(store, long_job.id)
    assert (job.state, job.progress) == (JobState.QUEUED, None)


async def test_it_steps_aside_for_a_job_that_must_be_alone(store, files, long_job, una):
    """A job over which a worker has fallen silent waits for one step, not for hours."""
    suspect = await make_job(store, una)
    await files.put_bytes(audio_key(suspect.asset.id), order("done"))
    async with store.writing() as uow:
        await uow.session.execute(update(Job).where(Job.id == suspect.id).values(losses=1))
    slow = Slow()
    analyst = analyst_with(store, files, slow)
    async with asyncio.timeout(20):
        long_work = asyncio.create_task(analyst.handle(long_job.id))
        await slow.step(0.25)
        short_work = asyncio.create_task(analyst.handle(suspect.id))
        while not analyst._gate._alone:  # noqa: ASYNC110
            await asyncio.sleep(0)
        slow.go.put_nowait(0.5)
        await short_work
        assert (await seen(store, suspect.id)).state is JobState.DONE
        assert (await seen(store, long_job.id)).state is JobState.RUNNING
        slow.go.put_nowait(1)
        await long_work
    assert (await seen(store, long_job.id)).state is JobState.DONE


async def test_no_more_than_two_at_once(store, files, una):
    slow = Slow()
    analyst = analyst_with(store, files, slow)
    jobs = [await make_job(store, una, scope=AnalysisScope.FULL) for _ in range(3)]
    for job in jobs:
        await files.put_bytes(audio_key(job.asset.id), order("done"))
    async with asyncio.timeout(20):
        works = [asyncio.create_task(analyst.handle(job.id)) for job in jobs]
        await slow.step(0.1)
        await slow.step(0.2)
        states = [(await seen(store, job.id)).state for job in jobs]
        assert sorted(states) == [JobState.QUEUED, JobState.RUNNING, JobState.RUNNING]
        for _ in jobs:
            slow.go.put_nowait(1)
        await asyncio.gather(*works)
    assert {(await seen(store, job.id)).state for job in jobs} == {JobState.DONE}
