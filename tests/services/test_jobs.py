"""Jobs as their owners see them, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid

import msgspec
import pytest

from app.db.uow import Store, Wakeup
from app.domain.failures import Failure, FailureCode
from app.domain.ids import new_id
from app.domain.jobs import JobKind, JobState, ReviewReason
from app.domain.permissions import Principal, Role
from app.errors import AudioGone, Forbidden, JobNotFound, JobStateConflict, SpectrogramNotReady
from app.services import analyses, jobs
from app.services.jobs import JobFilter
from tests.support.factories import (
    ADMIN,
    PREFERENCES,
    claim,
    finish_job,
    make_job,
    make_principal,
    make_result,
    make_upload,
    submit_job,
)
from tests.support.outside import RecordingOutside


@pytest.fixture
async def una(store: Store) -> Principal:
    return await make_principal(store)


async def test_a_submitted_job_is_queued_and_rung_for_after_the_commit(store: Store, una: Principal, outside):
    async with store.writing() as uow:
        job = await submit_job(uow, una, make_upload("Köln.mp3"), JobKind.GENRE)
        assert outside.wakeups == []
    assert outside.wakeups == [Wakeup(job.id, 0)]
    async with store.reading() as uow:
        seen = await jobs.get_job(uow, ADMIN, job.id)
    assert (seen.state, seen.asset.name, seen.submitted_by) == (JobState.QUEUED, "Köln.mp3", una.name)
    assert seen.result is None
    assert seen.error is None


async def test_a_rolled_back_submission_rings_for_nothing(store: Store, una: Principal, outside: RecordingOutside):
    async def submit_and_fail() -> None:
        async with store.writing() as uow:
            await submit_job(uow, una, make_upload(), JobKind.GENRE)
            raise RuntimeError("client went away")

    with pytest.raises(RuntimeError, match="client went away"):
        await submit_and_fail()
    assert outside.wakeups == []
    async with store.reading() as uow:
        assert (await jobs.list_jobs(uow, ADMIN, JobFilter())).items == []


async def test_lists_are_paged_newest_first(store: Store, una: Principal):
    made = [(await make_job(store, una, f"{number}.mp3")).id for number in range(5)]
    async with store.reading() as uow:
        first = await jobs.list_jobs(uow, ADMIN, JobFilter(), limit=2)
        second = await jobs.list_jobs(uow, ADMIN, JobFilter(), limit=2, cursor=uuid.UUID(first.next_cursor))
        third = await jobs.list_jobs(uow, ADMIN, JobFilter(), limit=2, cursor=uuid.UUID(second.next_cursor))
    assert [job.id for page in (first, second, third) for job in page.items] == made[::-1]
    assert third.next_cursor is None


async def test_lists_are_filtered(store: Store, una: Principal):
    rock, doubtful, waiting = [await make_job(store, una, name) for name in ("100%_a.mp3", "b.mp3", "c.mp3")]
    await finish_job(store, rock.id, make_result("soft_rock", 0.9))
    await finish_job(store, doubtful.id, make_result("opera", 0.4))

    async def found(**wanted) -> set[uuid.UUID]:
        async with store.reading() as uow:
            return {job.id for job in (await jobs.list_jobs(uow, ADMIN, JobFilter(**wanted))).items}

    assert await found(state=JobState.QUEUED) == {waiting.id}
    assert await found(genre="opera") == {doubtful.id}
    assert await found(needs_review=True) == {doubtful.id}
    assert await found(needs_review=False) == {rock.id, waiting.id}
    assert await found(text="100%_") == {rock.id}
    assert await found(text="LARKS") == {rock.id, doubtful.id}
    assert await found(created_after=doubtful.created_at) == {doubtful.id, waiting.id}
    assert await found(created_before=doubtful.created_at) == {rock.id}


async def test_lists_leave_the_windows_out(store: Store, una: Principal):
    job = await make_job(store, una)
    await finish_job(store, job.id, make_result("soft_rock", 0.9))
    async with store.reading() as uow:
        [listed] = (await jobs.list_jobs(uow, ADMIN, JobFilter())).items
        whole = await jobs.get_job(uow, ADMIN, job.id)
    assert listed.result is not None
    assert whole.result is not None
    assert len(whole.result.windows) > 0
    assert listed.result == msgspec.structs.replace(whole.result, windows=[])


async def test_cancel_then_retry(store: Store, una: Principal, outside: RecordingOutside):
    job = await make_job(store, una)
    async with store.writing() as uow:
        assert (await jobs.cancel_job(uow, una, job.id)).state is JobState.CANCELLED
    with pytest.raises(JobStateConflict):
        async with store.writing() as uow:
            await jobs.cancel_job(uow, una, job.id)
    outside.wakeups.clear()
    async with store.writing() as uow:
        assert (await jobs.retry_job(uow, una, job.id)).state is JobState.QUEUED
    assert outside.wakeups == [Wakeup(job.id, 0)]


async def test_only_the_owner_or_an_admin_changes_a_job(store: Store, una: Principal):
    job = await make_job(store, una)
    other = await make_principal(store, Role.REVIEWER, "Rex")
    admin = await make_principal(store, Role.ADMIN, "Ada")
    for change in (jobs.cancel_job, jobs.delete_job, jobs.retry_job):
        with pytest.raises(Forbidden):
            async with store.writing() as uow:
                await change(uow, other, job.id)
    async with store.writing() as uow:
        assert (await jobs.cancel_job(uow, admin, job.id)).state is JobState.CANCELLED


async def test_delete_leaves_no_row_and_names_the_files(store: Store, una: Principal):
    job = await make_job(store, una)
    await finish_job(store, job.id, make_result(probability=0.3))
    async with store.writing() as uow:
        keys = await jobs.delete_job(uow, una, job.id)
    assert sorted(keys) == [f"audio/{job.asset.id}", f"spectrograms/{job.id}.png"]
    async with store.reading() as uow:
        with pytest.raises(JobNotFound):
            await jobs.get_job(uow, ADMIN, job.id)


async def test_a_result_below_the_threshold_or_without_sound_goes_to_review(store: Store, una: Principal):
    sure, doubtful, silent = [await make_job(store, una) for _ in range(3)]
    await finish_job(store, sure.id, make_result(probability=0.61))
    await finish_job(store, doubtful.id, make_result(probability=0.59))
    await finish_job(store, silent.id, make_result(probability=0.9, audible=False))
    async with store.reading() as uow:
        reasons = [(await jobs.get_job(uow, ADMIN, job.id)).review for job in (sure, doubtful, silent)]
    assert reasons == [None, ReviewReason.LOW_PROBABILITY, ReviewReason.NOT_AUDIBLE]


async def test_files_of_a_job(store: Store, una: Principal):
    job = await make_job(store, una)
    async with store.reading() as uow:
        assert (await jobs.audio_file(uow, ADMIN, job.id)).media_type == "audio/mpeg"
        with pytest.raises(SpectrogramNotReady):
            await jobs.spectrogram_file(uow, ADMIN, job.id)
    await finish_job(store, job.id)
    async with store.reading() as uow:
        assert (await jobs.spectrogram_file(uow, ADMIN, job.id)).key == f"spectrograms/{job.id}.png"


async def test_a_file_that_can_not_be_heard_is_given_up(store: Store, una: Principal):
    job = await make_job(store, una)
    async with store.writing() as uow:
        taken = await claim(uow, job.id)
    async with store.writing() as uow:
        failure = Failure(FailureCode.AUDIO_TOO_SHORT, {"duration_s": 0.2, "minimum_s": 0.5})
        assert await analyses.record_failure(uow, taken, failure) == f"audio/{job.asset.id}"
    async with store.reading() as uow:
        seen = await jobs.get_job(uow, ADMIN, job.id)
        with pytest.raises(AudioGone):
            await jobs.audio_file(uow, ADMIN, job.id)
    assert seen.error is not None
    assert seen.error.detail == "The recording lasts 0.2 s. At least 0.5 s are needed to hear a genre."
    assert not seen.error.retryable
    with pytest.raises(AudioGone):
        async with store.writing() as uow:
            await jobs.retry_job(uow, una, job.id)


async def test_of_two_workers_one_gets_the_job(store: Store, una: Principal):
    job = await make_job(store, una)

    async def take() -> analyses.Claim | None:
        async with store.writing() as uow:
            return await analyses.claim_job(uow, job.id, worker_id=new_id(), lease_s=20)

    claims = await asyncio.gather(*(take() for _ in range(5)))
    assert len([found for found in claims if found]) == 1


async def test_a_lost_job_is_queued_again_and_its_first_worker_is_not_heard(store: Store, una: Principal, outside):
    job = await make_job(store, una)
    async with store.writing() as uow:
        lost = await claim(uow, job.id, lease_s=-1)
    outside.wakeups.clear()
    async with store.writing() as uow:
        assert await analyses.requeue_lost(uow) == 1
    assert outside.wakeups == [Wakeup(job.id, 1)]
    async with store.writing() as uow:
        second = await claim(uow, job.id)
        assert not await analyses.record_result(uow, lost, make_result("opera"), _facts(), defaults=PREFERENCES)
        assert await analyses.record_result(uow, second, make_result("solo"), _facts(), defaults=PREFERENCES)
    async with store.reading() as uow:
        seen = await jobs.get_job(uow, ADMIN, job.id)
    assert seen.result is not None
    assert (seen.result.top1.genre, seen.attempt) == ("solo", 2)


async def test_a_job_that_kills_every_worker_fails_in_the_end(store: Store, una: Principal):
    job = await make_job(store, una)
    for _ in range(3):
        async with store.writing() as uow:
            await claim(uow, job.id, lease_s=-1)
        async with store.writing() as uow:
            await analyses.requeue_lost(uow)
    async with store.reading() as uow:
        seen = await jobs.get_job(uow, ADMIN, job.id)
    assert seen.error is not None
    assert (seen.state, seen.error.code, seen.error.params) == (JobState.FAILED, "worker_lost", {"attempts": 3})


async def test_renewing_leases_tells_which_jobs_are_still_ours(store: Store, una: Principal):
    kept, cancelled = [await make_job(store, una) for _ in range(2)]
    worker = new_id()
    async with store.writing() as uow:
        for job in (kept, cancelled):
            await claim(uow, job.id, worker_id=worker)
    async with store.writing() as uow:
        await jobs.cancel_job(uow, una, cancelled.id)
    async with store.writing() as uow:
        assert await analyses.renew_leases(uow, worker, [kept.id, cancelled.id], lease_s=20) == {kept.id}


async def test_a_stopping_worker_gives_its_job_back(store: Store, una: Principal, outside: RecordingOutside):
    job = await make_job(store, una)
    async with store.writing() as uow:
        taken = await claim(uow, job.id)
    outside.wakeups.clear()
    async with store.writing() as uow:
        await analyses.give_back(uow, taken)
    assert outside.wakeups == [Wakeup(job.id, 1)]
    async with store.reading() as uow:
        assert (await jobs.get_job(uow, ADMIN, job.id)).state is JobState.QUEUED


async def test_a_lost_doorbell_is_rung_again_once(store: Store, una: Principal, outside: RecordingOutside):
    job = await make_job(store, una)
    outside.wakeups.clear()
    for after_s, expected in ((60, 0), (-1, 1), (60, 0)):
        async with store.writing() as uow:
            assert await analyses.ring_again(uow, after_s=after_s) == expected
    assert outside.wakeups == [Wakeup(job.id, 0)]


def _facts() -> analyses.FileFacts:
    return analyses.FileFacts(duration_s=12.0, sample_rate_hz=44_100, channels=2, title=None, artist=None)
