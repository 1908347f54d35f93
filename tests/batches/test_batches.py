"""Batches: their progress, their end that is told once, and who may see them."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.db.models import AuditEntry, Batch, Event, Job
from app.db.uow import Store
from app.domain.batches import BatchState
from app.domain.failures import Failure, FailureCode
from app.domain.ids import utc_now
from app.domain.jobs import EventType, JobState
from app.domain.permissions import Principal
from app.errors import BatchNotFound, Forbidden, JobNotFound
from app.services import batches, jobs
from app.services.analyses import record_failure, record_result
from app.services.jobs import JobFilter
from tests.support.factories import FACTS, PREFERENCES, claim, finish_job, make_job, make_result
from tests.support.outside import RecordingOutside


async def make_batch(store: Store, principal: Principal, **options: bool) -> uuid.UUID:
    async with store.writing() as uow:
        return (await batches.create_batch(uow, principal, "Spring", **options)).id


async def close(store: Store, principal: Principal, batch_id: uuid.UUID) -> BatchState:
    async with store.writing() as uow:
        return (await batches.close_batch(uow, principal, batch_id)).state


async def fail_job(store: Store, job_id: uuid.UUID, code: FailureCode = FailureCode.DECODE_TIMEOUT) -> None:
    async with store.writing() as uow:
        await record_failure(uow, await claim(uow, job_id), Failure(code, {"limit_s": 20}))


async def ends(store: Store) -> list[Event]:
    async with store.reading() as uow:
        return list(await uow.session.scalars(select(Event).where(Event.type == EventType.BATCH_DONE)))


async def test_progress_counts_jobs_by_state_and_says_how_fast(store: Store, una: Principal):
    batch_id = await make_batch(store, una)
    made = [(await make_job(store, una, f"{number}.mp3", batch_id=batch_id)).id for number in range(7)]
    await finish_job(store, made[0], make_result("opera", 0.95))
    await finish_job(store, made[1], make_result("opera", 0.45))
    await fail_job(store, made[2])
    await fail_job(store, made[3], FailureCode.AUDIO_CORRUPT)
    async with store.writing() as uow:
        await claim(uow, made[4])
        await jobs.cancel_job(uow, una, made[5])
    async with store.reading() as uow:
        seen = await batches.get_batch(uow, una, batch_id)
        listed = (await batches.list_batches(uow, una)).items
    progress = seen.progress
    assert [progress.total, progress.queued, progress.running] == [7, 1, 1]
    assert [progress.done, progress.failed, progress.cancelled] == [2, 2, 1]
    assert 0 < progress.rate_per_minute <= 300  # five in a second or more
    assert progress.remaining_s == pytest.approx(60 * 2 / progress.rate_per_minute)
    assert [(count.genre, count.count) for count in seen.genres] == [("opera", 2)]
    assert [(count.tier, count.count) for count in seen.tiers] == [("high", 1), ("medium", 0), ("low", 1)]
    assert {(count.code, count.count, count.retryable) for count in seen.failures} == {
        ("audio_corrupt", 1, False),
        ("decode_timeout", 1, True),
    }
    assert seen.to_review == 1
    assert (seen.state, seen.submitted_by) == (BatchState.OPEN, una.name)
    assert [(batch.id, batch.progress.total) for batch in listed] == [(batch_id, 7)]


async def test_the_end_is_told_once_when_the_last_job_of_a_closed_batch_ends(store: Store, una: Principal):
    batch_id = await make_batch(store, una)
    first, second = [(await make_job(store, una, batch_id=batch_id)).id for _ in range(2)]
    await finish_job(store, first)
    assert await close(store, una, batch_id) is BatchState.RUNNING
    assert await ends(store) == []
    await fail_job(store, second)
    async with store.reading() as uow:
        seen = await batches.get_batch(uow, una, batch_id)
    assert (seen.state, seen.progress.remaining_s) == (BatchState.DONE, None)
    assert await close(store, una, batch_id) is BatchState.DONE
    [event] = await ends(store)
    assert (event.batch_id, event.job_id) == (batch_id, None)
    assert event.data == {"done": 1, "failed": 1, "cancelled": 0}


async def test_an_open_batch_does_not_end_between_two_uploads(store: Store, una: Principal):
    batch_id = await make_batch(store, una)
    for _ in range(2):
        await finish_job(store, (await make_job(store, una, batch_id=batch_id)).id)
    assert await ends(store) == []
    assert await close(store, una, batch_id) is BatchState.DONE
    assert len(await ends(store)) == 1


async def test_of_transactions_that_end_the_last_jobs_at_once_one_tells_it(store: Store, una: Principal):
    batch_id = await make_batch(store, una)
    made = [(await make_job(store, una, batch_id=batch_id)).id for _ in range(8)]
    await close(store, una, batch_id)
    claims = []
    for job_id in made:
        async with store.writing() as uow:
            claims.append(await claim(uow, job_id))

    async def finish(taken) -> None:
        async with store.writing() as uow:
            assert await record_result(uow, taken, make_result(), FACTS, defaults=PREFERENCES)

    await asyncio.gather(*map(finish, claims))
    assert len(await ends(store)) == 1


async def test_adding_opens_a_closed_batch_again(store: Store, una: Principal):
    batch_id = await make_batch(store, una)
    assert await close(store, una, batch_id) is BatchState.DONE
    await make_job(store, una, batch_id=batch_id)
    async with store.reading() as uow:
        seen = await batches.get_batch(uow, una, batch_id)
    assert (seen.state, seen.closed_at, seen.finished_at) == (BatchState.OPEN, None, None)


async def test_failed_jobs_are_tried_again_and_the_end_is_told_again(
    store: Store, una: Principal, outside: RecordingOutside
):
    batch_id = await make_batch(store, una)
    again, lost = [(await make_job(store, una, batch_id=batch_id)).id for _ in range(2)]
    await fail_job(store, again)
    await fail_job(store, lost, FailureCode.AUDIO_CORRUPT)  # its audio is not kept
    await close(store, una, batch_id)
    outside.wakeups.clear()
    async with store.writing() as uow:
        seen = await batches.retry_failed(uow, una, batch_id)
    assert (seen.state, seen.progress.queued, seen.progress.failed) == (BatchState.RUNNING, 1, 1)
    assert [(wakeup.job_id, wakeup.bulk) for wakeup in outside.wakeups] == [(again, True)]
    await finish_job(store, again)
    assert [event.data["done"] for event in await ends(store)] == [0, 1]


async def test_retrying_one_job_opens_the_end_again_and_deleting_the_last_one_brings_it(store: Store, una: Principal):
    batch_id = await make_batch(store, una)
    job_id = (await make_job(store, una, batch_id=batch_id)).id
    await fail_job(store, job_id)
    await close(store, una, batch_id)
    async with store.writing() as uow:
        await jobs.retry_job(uow, una, job_id)
        assert (await batches.get_batch(uow, una, batch_id)).state is BatchState.RUNNING
    async with store.writing() as uow:
        await jobs.delete_job(uow, una, job_id)
    assert len(await ends(store)) == 2


async def test_cancelling_goes_in_steps_and_leaves_what_is_finished(
    store: Store, una: Principal, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batches, "_STEP", 2)
    batch_id = await make_batch(store, una)
    made = [(await make_job(store, una, batch_id=batch_id)).id for _ in range(6)]
    await finish_job(store, made[0])
    seen = await batches.cancel_batch(store, una, batch_id)
    assert (seen.state, seen.progress.cancelled, seen.progress.done) == (BatchState.DONE, 5, 1)
    assert len(await ends(store)) == 1
    async with store.reading() as uow:
        cancelled = await uow.session.scalars(select(Event.job_id).where(Event.type == EventType.JOB_CANCELLED))
        audited = (await uow.session.scalars(select(AuditEntry).where(AuditEntry.action == "batch.cancel"))).one()
    assert set(cancelled) == set(made[1:])
    assert (audited.action, audited.actor, audited.target_id) == ("batch.cancel", una.name, str(batch_id))


async def test_a_batch_that_was_left_open_is_closed_when_nothing_happens_any_more(store: Store, una: Principal):
    old, fresh, waiting = [await make_batch(store, una) for _ in range(3)]
    for batch_id in (old, waiting):
        await make_job(store, una, batch_id=batch_id)
    long_ago = utc_now() - timedelta(hours=1)
    async with store.writing() as uow:
        await uow.session.execute(update(Batch).where(Batch.id.in_([old, waiting])).values(created_at=long_ago))
        done = {"state": JobState.DONE, "created_at": long_ago, "finished_at": long_ago}
        await uow.session.execute(update(Job).where(Job.batch_id == old).values(**done))
        await uow.session.execute(update(Job).where(Job.batch_id == waiting).values(created_at=long_ago))
    async with store.writing() as uow:
        assert await batches.close_idle(uow, idle_s=600) == 1
    async with store.reading() as uow:
        states = [(await batches.get_batch(uow, una, batch_id)).state for batch_id in (old, fresh, waiting)]
    assert states == [BatchState.DONE, BatchState.OPEN, BatchState.OPEN]


async def test_private_batches_are_seen_by_their_owner_and_admins(
    store: Store, una: Principal, ute: Principal, ada: Principal
):
    hidden = await make_batch(store, una, private=True)
    shared = await make_batch(store, una)
    job_id = (await make_job(store, una, batch_id=hidden)).id
    await make_job(store, una, batch_id=shared)
    await finish_job(store, job_id)
    async with store.reading() as uow:
        seen = {
            who.name: (
                len((await batches.list_batches(uow, who)).items),
                len((await jobs.list_jobs(uow, who, JobFilter())).items),
            )
            for who in (una, ute, ada)
        }
        assert seen == {una.name: (2, 2), ute.name: (1, 1), ada.name: (2, 2)}
        assert (await jobs.get_job(uow, ada, job_id)).batch_id == hidden
        with pytest.raises(BatchNotFound):
            await batches.get_batch(uow, ute, hidden)
        for ask in (jobs.get_job, jobs.audio_file, jobs.spectrogram_file):
            with pytest.raises(JobNotFound):
                await ask(uow, ute, job_id)


async def test_nobody_adds_to_or_changes_the_batch_of_somebody_else(
    store: Store, una: Principal, ute: Principal, ada: Principal
):
    batch_id = await make_batch(store, una)
    async with store.writing() as uow:
        for change in (batches.close_batch, batches.retry_failed, batches.admit):
            with pytest.raises(Forbidden):
                await change(uow, ute, batch_id)
        await batches.admit(uow, ada, batch_id)
    with pytest.raises(Forbidden):
        await batches.cancel_batch(store, ute, batch_id)


async def test_lists_are_paged_newest_first(store: Store, una: Principal):
    made = [await make_batch(store, una) for _ in range(3)]
    async with store.reading() as uow:
        first = await batches.list_batches(uow, una, limit=2)
        second = await batches.list_batches(uow, una, limit=2, cursor=uuid.UUID(first.next_cursor))
    assert [batch.id for page in (first, second) for batch in page.items] == made[::-1]
    assert second.next_cursor is None
