"""The work on one job, without processes: outages of storage, results that can't be written, jobs taken away."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from obstore.exceptions import GenericError

from app.db.engine import Database
from app.db.migrations import upgrade
from app.db.uow import Store
from app.domain.failures import FailureCode
from app.domain.ids import new_id
from app.domain.jobs import JobState
from app.domain.keys import audio_key
from app.integrations.files import Files
from app.services.jobs import cancel_job, get_job
from tests.support.factories import ADMIN, make_job, make_principal
from tests.support.stand_in_worker import StandIn, order
from tests.workers.parts import OneModel, analyst_with
from workers import examination
from workers.heartbeat import Heartbeat


class Unsteady:
    """Files whose store answers the first read with an error of its own."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.reads = 0
        self.put_bytes = files.put_bytes
        self.delete = files.delete

    async def read(self, key: str) -> bytes:
        self.reads += 1
        if self.reads == 1:
            raise GenericError("out of reach")
        return await self._files.read(key)


@pytest.fixture
async def job(store, files):
    job = await make_job(store, await make_principal(store))
    await files.put_bytes(audio_key(job.asset.id), order("done"))
    return job


async def state_of(store, job_id) -> JobState:
    async with store.reading() as uow:
        return (await get_job(uow, ADMIN, job_id)).state


async def test_a_job_whose_file_is_out_of_reach_goes_back_and_is_done_later(store, files, job, monkeypatch):
    monkeypatch.setattr(examination, "_STORAGE_PAUSE_S", 0.0)
    analyst = analyst_with(store, Unsteady(files))
    await analyst.handle(job.id)
    assert await state_of(store, job.id) is JobState.QUEUED
    await analyst.handle(job.id)
    assert await state_of(store, job.id) is JobState.DONE


async def test_rings_for_jobs_that_do_not_wait_change_nothing(store, files, job):
    analyst = analyst_with(store, files)
    await analyst.handle(new_id())
    await analyst.handle(job.id)
    await analyst.handle(job.id)
    async with store.reading() as uow:
        assert (await get_job(uow, ADMIN, job.id)).attempt == 1


async def test_after_close_no_job_is_taken(store, files, job):
    analyst = analyst_with(store, files)
    analyst.close()
    await analyst.handle(job.id)
    assert await state_of(store, job.id) is JobState.QUEUED


async def test_a_beat_drops_what_is_no_longer_ours(store, files, job, tmp_path):
    principal = await make_principal(store)
    await files.put_bytes(audio_key(job.asset.id), order("wait", tmp_path / "never"))
    analyst = analyst_with(store, files)
    heartbeat = Heartbeat(analyst.worker_id, store, lease_s=20)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(analyst.handle(job.id))
        while not analyst.job_ids:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await heartbeat.serve(analyst, OneModel())
        assert analyst.job_ids == [job.id]
        async with store.writing() as uow:
            await cancel_job(uow, principal, job.id)
        await heartbeat.beat()
    assert await state_of(store, job.id) is JobState.CANCELLED
    assert analyst.job_ids == []


class NamesZero(StandIn):
    """Finds a title that PostgreSQL can't store."""

    async def analyse(self, fetch, *, urgent=True):
        found = await super().analyse(fetch, urgent=urgent)
        return replace(found, clip=replace(found.clip, title="zero \x00 byte"))


async def test_a_result_that_can_not_be_written_is_an_internal_failure(postgres_dsn, outside, files):
    database = Database(postgres_dsn)
    await upgrade(database)
    store = Store(database, outside)
    job = await make_job(store, await make_principal(store))
    await files.put_bytes(audio_key(job.asset.id), order("done"))
    await analyst_with(store, files, NamesZero()).handle(job.id)
    async with store.reading() as uow:
        failed = await get_job(uow, ADMIN, job.id)
    await database.close()
    assert failed.error is not None
    assert failed.error.code == FailureCode.INTERNAL
