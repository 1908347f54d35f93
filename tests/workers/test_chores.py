"""Chores: each may be repeated, and two sweepers at once do no harm."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.db.models import Event, Job
from app.domain.ids import new_id, utc_now
from app.domain.jobs import AnalysisScope, EventType, JobState
from app.domain.keys import audio_key, spectrogram_key
from app.integrations.queue import RedisOutside
from app.resources import Resources
from app.services import analyses
from app.services.jobs import get_job
from app.services.orphans import unknown_keys
from tests.support.factories import ADMIN, claim, make_job, make_principal
from workers import chores
from workers.chores import Chore, delete_orphans, do_chores, sweep_jobs


@pytest.fixture
async def parts(database, store, files, tmp_path):
    """Resources whose doorbell is the recording one."""
    unused = RedisOutside(f"unix://{tmp_path}/nobody.sock")
    yield Resources(database, unused, store, files, "")
    await unused.close()


async def lose(store, job_id) -> None:
    """A worker takes the job and falls silent at once."""
    async with store.writing() as uow:
        await claim(uow, job_id, lease_s=-1)


async def test_two_sweepers_give_a_lost_job_back_once(parts, store):
    job = await make_job(store, await make_principal(store))
    await lose(store, job.id)
    await asyncio.gather(sweep_jobs(parts), sweep_jobs(parts))
    async with store.reading() as uow:
        assert (await get_job(uow, ADMIN, job.id)).state is JobState.QUEUED
        assert await uow.session.scalar(select(Job.losses).where(Job.id == job.id)) == 1


async def test_behind_many_bulk_jobs_nobody_is_forgotten(parts, store, outside, monkeypatch):
    """What somebody waits for is rung for first, then what nobody has rung for longest."""
    monkeypatch.setattr(analyses, "_SWEEP_LIMIT", 2)
    una = await make_principal(store)
    bulk = [await make_job(store, una, scope=AnalysisScope.FULL) for _ in range(4)]
    single = await make_job(store, una)
    async with store.writing() as uow:
        await uow.session.execute(update(Job).values(rung_at=utc_now() - timedelta(minutes=1)))
    outside.wakeups.clear()
    for _ in range(3):
        await sweep_jobs(parts)
    assert [(wakeup.job_id, wakeup.bulk) for wakeup in outside.wakeups] == [
        (single.id, False),
        *((job.id, True) for job in bulk),
    ]


async def test_a_job_lost_three_times_fails_once(parts, store):
    job = await make_job(store, await make_principal(store))
    for _ in range(3):
        await lose(store, job.id)
        await asyncio.gather(sweep_jobs(parts), sweep_jobs(parts))
    async with store.reading() as uow:
        assert (await get_job(uow, ADMIN, job.id)).state is JobState.FAILED
        failures = select(func.count()).where(Event.job_id == job.id, Event.type == EventType.JOB_FAILED)
        assert await uow.session.scalar(failures) == 1


async def test_a_queued_job_that_nobody_heard_of_is_rung_for_again(parts, store, outside):
    job = await make_job(store, await make_principal(store))
    outside.wakeups.clear()
    await sweep_jobs(parts)
    assert outside.wakeups == []
    async with store.writing() as uow:
        await uow.session.execute(update(Job).values(rung_at=utc_now() - timedelta(seconds=11)))
    await sweep_jobs(parts)
    assert [wakeup.job_id for wakeup in outside.wakeups] == [job.id]


async def test_only_files_without_a_row_are_unknown(store):
    job = await make_job(store, await make_principal(store))
    known = [audio_key(job.asset.id), spectrogram_key(job.id)]
    unknown = [audio_key(new_id()), spectrogram_key(new_id()), audio_key(job.id), "spectrograms/notes.txt"]
    async with store.reading() as uow:
        assert await unknown_keys(uow, [*unknown, *known]) == unknown
        assert await unknown_keys(uow, []) == []


async def test_old_orphans_are_deleted_and_nothing_else(parts, store, monkeypatch):
    job = await make_job(store, await make_principal(store))
    kept, orphan = audio_key(job.asset.id), audio_key(new_id())
    for key in (kept, orphan, spectrogram_key(new_id())):
        await parts.files.put_bytes(key, b"content")
    await delete_orphans(parts)  # too young
    assert await keys_of(parts) == 3
    monkeypatch.setattr(chores, "_ORPHAN_AGE", timedelta(seconds=-60))
    await asyncio.gather(delete_orphans(parts), delete_orphans(parts))
    assert await keys_of(parts) == 1
    assert await parts.files.read(kept) == b"content"


async def keys_of(parts: Resources) -> int:
    later = utc_now() + timedelta(hours=1)
    pages = [page for prefix in ("audio", "spectrograms") async for page in parts.files.keys_older_than(prefix, later)]
    return sum(map(len, pages))


async def test_a_chore_that_fails_is_tried_again_and_stops_no_other(parts, monkeypatch):
    stop = asyncio.Event()
    rounds = []

    async def failing(_: Resources) -> None:
        rounds.append("failing")
        if rounds.count("failing") == 3:
            stop.set()
        raise ConnectionError if rounds.count("failing") == 1 else RuntimeError

    async def working(_: Resources) -> None:
        rounds.append("working")

    monkeypatch.setattr(chores, "CHORES", (Chore(failing, 0.01), Chore(working, 0.001)))
    async with asyncio.timeout(20):
        await do_chores(replace(parts), stop)
    assert rounds.count("failing") == 3
    assert rounds.count("working") >= 2
