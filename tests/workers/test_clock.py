"""The clock is set back: what the database has for later is not waited for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.db.models import Job, WebhookDelivery, Worker
from app.domain.ids import new_id, utc_now
from app.domain.jobs import JobState
from app.domain.workers import WorkerState
from app.integrations.queue import RedisOutside
from app.resources import Resources
from app.services.workers import report_worker
from tests.support.factories import claim, finish_job, make_job, make_principal
from tests.support.webhooks import make_endpoint
from workers import clock
from workers.chores import sweep_jobs
from workers.clock import ClockWatch

HOUR = timedelta(hours=1)


@pytest.fixture
async def parts(database, store, files, tmp_path):
    unused = RedisOutside(f"unix://{tmp_path}/nobody.sock")
    yield Resources(database, unused, store, files, "")
    await unused.close()


async def write(store, statement) -> None:
    async with store.writing() as uow:
        await uow.session.execute(statement)


async def read(store, column):
    async with store.reading() as uow:
        return await uow.session.scalar(select(column))


async def test_a_lost_ring_is_rung_again(parts, store, outside):
    await make_job(store, await make_principal(store))
    await write(store, update(Job).values(rung_at=utc_now() + HOUR))
    outside.wakeups.clear()
    await sweep_jobs(parts)
    assert outside.wakeups == []
    await ClockWatch().look(parts)
    await sweep_jobs(parts)
    assert len(outside.wakeups) == 1


async def test_the_lease_of_a_dead_worker_ends_in_some_minutes(parts, store):
    job = await make_job(store, await make_principal(store))
    async with store.writing() as uow:
        await claim(uow, job.id, lease_s=20)
    await write(store, update(Job).values(lease_until=utc_now() + HOUR))
    await ClockWatch().look(parts)
    assert await read(store, Job.lease_until) < utc_now() + timedelta(minutes=6)
    assert await read(store, Job.state) is JobState.RUNNING


async def test_a_first_delivery_is_due_and_a_later_one_keeps_its_moment(parts, store):
    principal = await make_principal(store)
    await make_endpoint(store, principal, "https://hooks.test/")
    await finish_job(store, (await make_job(store, principal)).id)
    later = utc_now() + HOUR
    await write(store, update(WebhookDelivery).values(due_at=later))
    await ClockWatch().look(parts)
    assert await read(store, WebhookDelivery.due_at) <= utc_now()
    await write(store, update(WebhookDelivery).values(due_at=later, attempts=1))
    await ClockWatch().look(parts)
    assert await read(store, WebhookDelivery.due_at) == later


async def test_a_worker_is_not_taken_for_alive_because_of_a_sign_from_the_future(parts, store):
    async with store.writing() as uow:
        await report_worker(uow, new_id(), WorkerState.READY)
    await write(store, update(Worker).values(seen_at=utc_now() + HOUR))
    await ClockWatch().look(parts)
    assert await read(store, Worker.id) is None


async def test_it_looks_at_the_database_at_the_start_and_after_a_step_back_only(parts, store, monkeypatch):
    watch = ClockWatch()
    await make_job(store, await make_principal(store))
    later = utc_now() + HOUR
    found = []
    for ahead in (timedelta(0), timedelta(0), HOUR, timedelta(0)):
        monkeypatch.setattr(clock, "utc_now", lambda ahead=ahead: utc_now() + ahead)
        await write(store, update(Job).values(rung_at=later))
        await watch.look(parts)
        found.append(await read(store, Job.rung_at) != later)
    assert found == [True, False, False, True]
