"""What waits, and for how long, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from app.db.models import Job
from app.db.uow import Store
from app.domain.ids import utc_now
from app.domain.jobs import AnalysisScope
from app.services.analyses import give_back
from app.services.queue import queue_state
from tests.support.factories import claim, finish_job, make_job, make_principal


async def test_the_queue_tells_what_waits_and_how_long(store: Store):
    una = await make_principal(store)
    taken, waiting, done = [await make_job(store, una) for _ in range(3)]
    for _ in range(3):
        await make_job(store, una, scope=AnalysisScope.FULL)
    await finish_job(store, done.id)
    long_ago = utc_now() - timedelta(hours=1)
    async with store.writing() as uow:
        await give_back(uow, await claim(uow, taken.id))  # somebody has been at it: its age tells nothing
        await uow.session.execute(update(Job).where(Job.id == taken.id).values(created_at=long_ago))
        later = long_ago + timedelta(minutes=30)
        await uow.session.execute(update(Job).where(Job.id == waiting.id).values(created_at=later))
    async with store.reading() as uow:
        queue = await queue_state(uow)
    assert (queue.urgent.jobs, queue.bulk.jobs) == (2, 3)
    assert queue.urgent.longest_wait_s is not None
    assert 1800 <= queue.urgent.longest_wait_s < 1860
    assert queue.bulk.longest_wait_s is not None
    assert 0 <= queue.bulk.longest_wait_s < 60
