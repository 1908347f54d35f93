"""Whose turn it is in the queue, on SQLite and on PostgreSQL, also behind ten thousand jobs."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import insert, update

from app.db.models import Asset, Job
from app.db.uow import Store
from app.domain.failures import Failure, FailureCode
from app.domain.ids import new_id
from app.domain.jobs import AnalysisScope, JobKind, JobState, Lane
from app.domain.permissions import Principal
from app.services.analyses import Summons, answer_ring, look_at, record_failure
from app.services.batches import close_batch, create_batch, retry_failed
from app.services.jobs import retry_job
from tests.support.factories import make_job, make_principal


async def queue_many(store: Store, owner: Principal, count: int, *, batch_id: uuid.UUID | None = None) -> None:
    """As so many submissions leave them."""
    assets = [new_id() for _ in range(count)]
    lane = Lane.of(AnalysisScope.START, batch_id)
    same = {"kind": JobKind.GENRE, "lane": lane, "user_id": owner.user_id, "batch_id": batch_id}
    async with store.writing() as uow:
        await uow.session.execute(insert(Asset), [{"id": asset_id, "name": "many.mp3"} for asset_id in assets])
        jobs = [{"id": new_id(), "asset_id": asset_id, "turn": turn, **same} for turn, asset_id in enumerate(assets)]
        await uow.session.execute(insert(Job), jobs)


async def answered(store: Store, ring: uuid.UUID) -> uuid.UUID | None:
    """The job that a worker takes when it is rung for this one."""
    async with store.writing() as uow:
        summons = await look_at(uow, ring)
        assert summons is not None
        claim = await answer_ring(uow, summons, worker_id=new_id(), lease_s=20)
    return claim.job_id if claim else None


async def test_the_few_of_one_do_not_wait_for_the_thousands_of_another(store: Store):
    una, otto = await make_principal(store, name="Una"), await make_principal(store, name="Otto")
    await queue_many(store, una, 5000)
    few = [(await make_job(store, otto)).id for _ in range(10)]
    taken = [await answered(store, few[0]) for _ in range(20)]
    assert [job_id for job_id in taken if job_id in few] == few
    assert len(set(taken)) == 20


async def test_a_person_does_not_wait_behind_ten_thousand_of_a_batch(store: Store):
    una, otto = await make_principal(store, name="Una"), await make_principal(store, name="Otto")
    async with store.writing() as uow:
        batch = await create_batch(uow, una, "archive")
    await queue_many(store, una, 10_000, batch_id=batch.id)
    single = await make_job(store, otto)
    own = await make_job(store, una)  # of the very person whose batch it is
    assert [await answered(store, single.id) for _ in range(3)] == [single.id, own.id, None]


async def test_who_comes_later_is_not_given_what_others_have_waited_for(store: Store):
    """Having been away earns nobody a row of turns."""
    una, otto = await make_principal(store, name="Una"), await make_principal(store, name="Otto")
    unas = [(await make_job(store, una)).id for _ in range(6)]
    for _ in range(3):
        await answered(store, unas[0])
    ottos = [(await make_job(store, otto)).id for _ in range(3)]
    taken = [await answered(store, unas[0]) for _ in range(6)]
    assert taken == [unas[3], ottos[0], unas[4], ottos[1], unas[5], ottos[2]]


async def test_a_job_over_which_a_worker_fell_silent_is_taken_by_its_name_alone(store: Store):
    una = await make_principal(store)
    lost, other = await make_job(store, una), await make_job(store, una)
    async with store.writing() as uow:
        await uow.session.execute(update(Job).where(Job.id == lost.id).values(losses=1))
    assert await answered(store, other.id) == other.id
    assert await answered(store, other.id) is None
    assert await answered(store, lost.id) == lost.id


async def test_a_job_of_an_earlier_version_is_taken_by_its_name(store: Store):
    una = await make_principal(store)
    old = await make_job(store, una)
    async with store.writing() as uow:
        await uow.session.execute(update(Job).where(Job.id == old.id).values(lane=None, turn=None))
    assert await answered(store, old.id) == old.id


@pytest.mark.parametrize("whole_batch", [False, True])
async def test_what_is_tried_again_stands_at_the_end_of_its_owners_line(store: Store, *, whole_batch: bool):
    una = await make_principal(store)
    async with store.writing() as uow:
        batch = await create_batch(uow, una, "again")
    again, *others = [(await make_job(store, una, batch_id=batch.id)).id for _ in range(3)]
    async with store.writing() as uow:
        summons = Summons(again, AnalysisScope.START, Lane.BATCH, lost=False)
        claim = await answer_ring(uow, summons, worker_id=new_id(), lease_s=20)
        assert claim is not None
        await record_failure(uow, claim, Failure(FailureCode.DECODE_TIMEOUT, {"limit_s": 20}))
        await close_batch(uow, una, batch.id)
    async with store.writing() as uow:
        if whole_batch:
            await retry_failed(uow, una, batch.id)
        else:
            job = await retry_job(uow, una, again)
            assert job.state is JobState.QUEUED
    assert [await answered(store, again) for _ in range(4)] == [*others, again, None]
