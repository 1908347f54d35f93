"""The feed of events: whoever has read up to a cursor has missed nothing before it, however transactions overlap."""

from __future__ import annotations

import asyncio

import pytest

from app.db.engine import Database
from app.db.migrations import upgrade
from app.db.uow import Store
from app.domain.jobs import EventType, JobKind
from app.domain.permissions import Principal, Role
from app.domain.webhook_views import EventPage
from app.services import event_feed
from app.services.batches import close_batch, create_batch
from app.services.event_feed import read_feed
from app.services.jobs import cancel_job
from tests.support.factories import finish_job, make_job, make_principal, make_upload, submit_job


async def read(store: Store, who: Principal, after: int = 0, *types: EventType, limit: int = 100) -> EventPage:
    return await read_feed(store, who, after=after, types=types, limit=limit)


async def test_events_come_in_pages_each_once(store: Store):
    una = await make_principal(store)
    jobs = [await make_job(store, una) for _ in range(5)]
    for job in jobs:
        await finish_job(store, job.id)
    seen, after = [], 0
    while True:
        page = await read(store, una, after, limit=2)
        seen += page.items
        after = int(page.next_cursor)
        if not page.has_more:
            break
    assert [event.job["id"] for event in seen] == [str(job.id) for job in jobs]
    assert {event.type for event in seen} == {EventType.JOB_DONE}
    assert (await read(store, una, after)).items == []
    assert (await read(store, una, after)).next_cursor == str(after)
    await finish_job(store, (await make_job(store, una)).id)
    assert len((await read(store, una, after)).items) == 1


async def test_an_event_that_is_committed_late_comes_late(postgres_store: Store):
    """Its id was made first. A cursor made of ids would have passed it by."""
    store = postgres_store
    una = await make_principal(store)
    late, early = await make_job(store, una), await make_job(store, una)
    made, go_on = asyncio.Event(), asyncio.Event()

    async def cancel_slowly() -> None:
        async with store.writing() as uow:
            await cancel_job(uow, una, late.id)
            made.set()
            await go_on.wait()

    slow = asyncio.create_task(cancel_slowly())
    await made.wait()
    async with store.writing() as uow:
        await cancel_job(uow, una, early.id)
    first = await read(store, una)
    go_on.set()
    await slow
    second = await read(store, una, int(first.next_cursor))
    assert [event.job["id"] for event in first.items] == [str(early.id)]
    assert [event.job["id"] for event in second.items] == [str(late.id)]
    assert second.items[0].id < first.items[0].id


@pytest.fixture
async def postgres_store(postgres_dsn, outside):
    database = Database(postgres_dsn)
    await upgrade(database)
    yield Store(database, outside)
    await database.close()


async def test_many_writers_and_readers_agree_on_one_order(store: Store):
    una = await make_principal(store)
    jobs = [await make_job(store, una) for _ in range(30)]

    async def follow() -> list[str]:
        seen, after = [], 0
        while len(seen) < len(jobs):
            page = await read(store, una, after, limit=7)
            seen += [event.job["id"] for event in page.items]
            after = int(page.next_cursor)
        return seen

    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        readers = [group.create_task(follow()) for _ in range(3)]
        for start in range(3):
            group.create_task(finish_all(store, jobs[start::3]))
    first, *others = [reader.result() for reader in readers]
    assert sorted(first) == sorted(str(job.id) for job in jobs)
    assert all(other == first for other in others)


async def finish_all(store: Store, jobs) -> None:
    for job in jobs:
        await finish_job(store, job.id)


async def test_of_private_batches_each_sees_their_own_and_types_can_be_chosen(sqlite_store: Store):
    store = sqlite_store
    una, otto = await make_principal(store), await make_principal(store, name="Otto")
    async with store.writing() as uow:
        batch = await create_batch(uow, una, "secret", private=True)
    async with store.writing() as uow:
        job = await submit_job(uow, una, make_upload(), JobKind.GENRE, batch_id=batch.id)
    await finish_job(store, job.id)
    async with store.writing() as uow:
        await close_batch(uow, una, batch.id)
    page = await read(store, una)
    assert [event.type for event in page.items] == [EventType.JOB_DONE, EventType.BATCH_DONE]
    assert page.items[1].batch == {"id": str(batch.id), "name": "secret", "done": 1, "failed": 0, "cancelled": 0}
    assert page.items[1].job is None
    others = await read(store, otto)
    assert (others.items, others.next_cursor) == ([], page.next_cursor)
    assert len((await read(store, await make_principal(store, Role.ADMIN))).items) == 2
    assert [event.type for event in (await read(store, una, 0, EventType.BATCH_DONE)).items] == [EventType.BATCH_DONE]
    assert (await read(store, una, 0, EventType.JOB_CREATED)).items == []


async def test_what_is_too_much_for_one_answer_is_numbered_by_the_next(sqlite_store: Store, monkeypatch):
    store = sqlite_store
    monkeypatch.setattr(event_feed, "_NUMBERED_AT_ONCE", 2)
    monkeypatch.setattr(event_feed, "_MOST_ROUNDS", 2)
    una = await make_principal(store)
    for _ in range(3):
        await finish_job(store, (await make_job(store, una)).id)  # with their creation six events
    page = await read(store, una)
    assert page.has_more
    rest = await read(store, una, int(page.next_cursor))
    assert not rest.has_more
    assert len(page.items) + len(rest.items) == 3
