"""What is kept of a job is given only while the database stays as it was, by whomever it is written."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy import event

from app.db.engine import Database
from app.db.uow import Store
from app.domain.permissions import Principal
from app.domain.views import JobOut
from app.services import jobs
from app.services.batches import create_batch
from app.services.job_reads import JobReads
from tests.support.factories import finish_job, make_job, make_principal, make_result
from tests.support.outside import RecordingOutside


@pytest.fixture
async def una(store: Store) -> Principal:
    return await make_principal(store)


@pytest.fixture
async def elsewhere(store: Store) -> AsyncIterator[Store]:
    """The same database as another process has it open."""
    database = Database(store.database.engine.url.render_as_string(hide_password=False))
    yield Store(database, RecordingOutside())
    await database.close()


@pytest.fixture
def queries(store: Store) -> list[str]:
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            said.append(statement)

    event.listen(store.database.engine.sync_engine, "before_cursor_execute", note)
    return said


async def _read(reads: JobReads, store: Store, caller: Principal, job_id: uuid.UUID) -> JobOut | None:
    answer = await reads.get(store, caller, job_id)
    return msgspec.json.decode(answer, type=JobOut) if answer else None


async def test_what_somebody_else_commits_is_seen_at_once(store: Store, elsewhere: Store, una: Principal):
    reads, job = JobReads(), await make_job(store, una)
    for genre in ("opera", "soft_rock"):
        await finish_job(elsewhere, job.id, make_result(genre, 0.9))
        for _ in range(2):
            seen = await _read(reads, store, una, job.id)
            assert seen is not None
            assert seen.result is not None
            assert seen.result.top1.genre == genre
        async with elsewhere.writing() as uow:
            await jobs.reanalyse_job(uow, una, job.id)
        seen = await _read(reads, store, una, job.id)
        assert seen is not None
        assert seen.result is None
    async with elsewhere.writing() as uow:
        await jobs.cancel_job(uow, una, job.id)
        await jobs.delete_job(uow, una, job.id)
    assert await _read(reads, store, una, job.id) is None


async def test_a_private_job_is_kept_for_its_owner_alone(store: Store, una: Principal):
    async with store.writing() as uow:
        batch = await create_batch(uow, una, "secret", private=True)
    reads, job, stranger = (
        JobReads(),
        await make_job(store, una, batch_id=batch.id),
        await make_principal(store, name="Otto"),
    )
    for _ in range(2):
        assert await _read(reads, store, una, job.id) is not None
        assert await _read(reads, store, stranger, job.id) is None
        assert await _read(reads, store, una, uuid.uuid4()) is None


async def test_sqlite_is_asked_again_only_after_a_change(store: Store, una: Principal, queries: list[str]):
    reads, job = JobReads(), await make_job(store, una)
    first = await reads.get(store, una, job.id)
    queries.clear()
    assert await reads.get(store, una, job.id) == first
    assert bool(queries) is not store.database.is_sqlite
    await make_job(store, una, "another.mp3")
    queries.clear()
    assert await reads.get(store, una, job.id) == first
    assert queries
