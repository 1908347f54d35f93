"""Recordings that are fetched from an address: what arrives is analysed, what can't be had fails the job and says why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.db.models import Job, Source
from app.db.uow import Store
from app.domain.addresses import IntranetHosts
from app.domain.ids import utc_now
from app.domain.jobs import JobState
from app.domain.permissions import Principal
from app.domain.preferences import Preferences
from app.domain.submissions import JobOptions
from app.domain.views import JobOut
from app.errors import AudioGone
from app.integrations.files import Files
from app.integrations.queue import RedisOutside
from app.resources import Resources
from app.services import jobs, sources, submissions
from app.services.analyses import ring_again
from app.services.batches import create_batch, get_batch, retry_failed
from app.services.models import NewModel, activate_model, register_model
from tests.support.factories import MODEL, finish_job, make_principal
from tests.support.outside import RecordingOutside
from tests.support.receiver import Receiver, receiver
from workers.sources import SourceFetcher

MP3 = b"ID3" + bytes(9000)
LIMIT = 10_000


@pytest.fixture
def parts(sqlite_store: Store, files: Files) -> Resources:
    outside = RedisOutside("redis://127.0.0.1:1/0")
    return Resources(sqlite_store.database, outside, sqlite_store, files, "")


@pytest.fixture
def fetcher() -> SourceFetcher:
    return SourceFetcher(
        IntranetHosts.parse(["127.0.0.0/8"]), Preferences(review_threshold=0.6, upload_limit_bytes=LIMIT)
    )


@pytest.fixture
async def una(sqlite_store: Store) -> Principal:
    return await make_principal(sqlite_store)


@pytest.fixture
async def archive() -> AsyncIterator[Receiver]:
    async with receiver() as target:
        target.answer = MP3
        yield target


async def _submit(store: Store, una: Principal, url: str, **options: Any) -> JobOut:
    async with store.writing() as uow:
        return await submissions.submit_source(uow, una, url, JobOptions(**options))


async def _look(store: Store, una: Principal, job: JobOut) -> JobOut:
    async with store.reading() as uow:
        return await jobs.get_job(uow, una, job.id)


async def _fail(fetcher: SourceFetcher, parts: Resources, una: Principal, url: str, **options: Any) -> JobOut:
    """Let all tries pass at once."""
    job = await _submit(parts.store, una, url, **options)
    for _ in range(len(sources.DELAYS_S) + 1):
        await fetcher.fetch_due(parts)
        async with parts.store.writing() as uow:
            await uow.session.execute(update(Source).where(Source.due_at.is_not(None)).values(due_at=utc_now()))
    return await _look(parts.store, una, job)


async def test_a_recording_is_fetched_and_rung_for(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver, *, outside: RecordingOutside
):
    job = await _submit(parts.store, una, archive.url + "/a%20b.mp3?signature=secret")
    async with parts.store.writing() as uow:
        await uow.session.execute(update(Job).values(rung_at=utc_now() - timedelta(hours=1)))
        assert await ring_again(uow, after_s=10) == 0
    assert outside.wakeups == []
    await fetcher.fetch_due(parts)
    assert [request.path for request in archive.received] == ["/hook/a%20b.mp3?signature=secret"]
    assert not {"cookie", "authorization"} & set(archive.received[0].headers)
    fetched = await _look(parts.store, una, job)
    assert (fetched.state, fetched.asset.name, fetched.asset.size_bytes) == (JobState.QUEUED, "a b.mp3", len(MP3))
    assert [wakeup.job_id for wakeup in outside.wakeups] == [job.id]
    assert await parts.files.read(f"audio/{job.asset.id}") == MP3
    async with parts.store.reading() as uow:
        assert (await uow.session.scalars(select(Source))).all() == []
    await fetcher.fetch_due(parts)
    assert len(archive.received) == 1


async def test_of_several_processes_each_fetches_others(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver
):
    for number in range(6):
        await _submit(parts.store, una, f"{archive.url}/{number}.mp3")
    await asyncio.gather(*(fetcher.fetch_due(parts) for _ in range(3)))
    assert len(archive.received) == 6


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"status": 404}, "source_refused"),
        ({"status": 403}, "source_refused"),
        ({"answer": b"<html>please sign in</html>"}, "source_not_audio"),
        ({"answer": b""}, "source_not_audio"),
        ({"answer": b"ID3" + bytes(LIMIT)}, "source_too_large"),
        ({"headers": {"content-length": "999999999"}}, "source_too_large"),
        ({"headers": {"content-length": "9500"}}, "source_unreachable"),
        ({"status": 302, "headers": {"location": "http://10.0.0.1/a.mp3"}}, "source_address"),
        ({"status": 302, "headers": {"location": "http://169.254.169.254/latest"}}, "source_address"),
        ({"status": 302, "headers": {"location": "file:///etc/passwd"}}, "source_address"),
        ({"status": 302, "headers": {"location": "/again"}}, "source_refused"),
    ],
)
async def test_what_can_not_be_had_fails_the_job_and_leaves_nothing(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver, *, answer: dict[str, Any], code: str
):
    for name, value in answer.items():
        setattr(archive, name, value)
    job = await _fail(fetcher, parts, una, archive.url)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == code
    assert "{" not in job.error.detail
    assert not job.asset.kept
    assert not [key async for page in parts.files.keys_older_than("audio", utc_now() + timedelta(1)) for key in page]


async def test_redirects_are_followed_one_by_one(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver
):
    async with receiver(status=307, headers={"location": archive.url}) as door:
        job = await _submit(parts.store, una, door.url)
        await fetcher.fetch_due(parts)
    assert (await _look(parts.store, una, job)).asset.kept


async def test_a_host_that_is_away_is_asked_again_later_and_by_hand(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver
):
    failed = await _fail(fetcher, parts, una, "http://127.0.0.1:1/a.mp3")
    assert failed.error is not None
    assert (failed.error.code, failed.error.retryable) == ("source_unreachable", True)
    async with parts.store.writing() as uow:
        await uow.session.execute(update(Source).values(url=archive.url))
        assert (await jobs.retry_job(uow, una, failed.id)).state is JobState.QUEUED
    await fetcher.fetch_due(parts)
    assert (await _look(parts.store, una, failed)).asset.kept


async def test_retrying_a_batch_fetches_again_what_could_not_be_fetched(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver
):
    async with parts.store.writing() as uow:
        batch = await create_batch(uow, una, "Spring")
    away = await _fail(fetcher, parts, una, "http://127.0.0.1:1/a.mp3", batch_id=batch.id)
    archive.answer = b"la la la"
    no_audio = await _fail(fetcher, parts, una, archive.url, batch_id=batch.id)
    archive.answer, calls = MP3, len(archive.received)
    async with parts.store.writing() as uow:
        await uow.session.execute(update(Source).values(url=archive.url))
        progress = (await retry_failed(uow, una, batch.id)).progress
    assert (progress.queued, progress.failed) == (1, 1)
    assert parts.store.outside.wakeups == [], "there is nothing to analyse before it has been fetched"
    await fetcher.fetch_due(parts)
    assert (await _look(parts.store, una, away)).asset.kept
    assert (await _look(parts.store, una, no_audio)).state is JobState.FAILED
    assert len(archive.received) == calls + 1
    assert [wakeup.job_id for wakeup in parts.store.outside.wakeups] == [away.id]


async def test_what_is_no_audio_is_not_tried_again(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver
):
    archive.answer = b"la la la"
    failed = await _fail(fetcher, parts, una, archive.url)
    with pytest.raises(AudioGone):
        async with parts.store.writing() as uow:
            await jobs.retry_job(uow, una, failed.id)


async def test_a_cancelled_job_is_not_fetched_and_its_batch_ends(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver
):
    async with parts.store.writing() as uow:
        batch = await create_batch(uow, una, "Spring")
    kept, dropped = [await _submit(parts.store, una, archive.url, batch_id=batch.id) for _ in range(2)]
    async with parts.store.writing() as uow:
        await jobs.cancel_job(uow, una, dropped.id)
    await fetcher.fetch_due(parts)
    assert len(archive.received) == 1
    assert not (await _look(parts.store, una, dropped)).asset.kept
    archive.status = 404
    failed = await _submit(parts.store, una, archive.url, batch_id=batch.id)
    await fetcher.fetch_due(parts)
    async with parts.store.reading() as uow:
        progress = (await get_batch(uow, una, batch.id)).progress
    assert (progress.total, progress.queued, progress.failed, progress.cancelled) == (3, 1, 1, 1)
    assert (await _look(parts.store, una, kept)).state is JobState.QUEUED
    assert (await _look(parts.store, una, failed)).state is JobState.FAILED


async def test_a_job_cancelled_in_mid_fetch_keeps_no_file(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver
):
    job = await _submit(parts.store, una, archive.url)
    archive.hangs = True
    fetching = asyncio.create_task(fetcher.fetch_due(parts))
    await archive.wait_for(1)
    async with parts.store.writing() as uow:
        await jobs.delete_job(uow, una, job.id)
    fetching.cancel()
    await asyncio.wait({fetching})
    stored = [key async for page in parts.files.keys_older_than("audio", utc_now() + timedelta(1)) for key in page]
    assert stored == []


async def test_known_audio_is_answered_as_soon_as_it_is_here(
    fetcher: SourceFetcher, parts: Resources, una: Principal, archive: Receiver
):
    async with parts.store.writing() as uow:
        new = NewModel(kind="genre", name=MODEL.name, version="1", sha256=MODEL.sha256, starter=True, card={})
        await register_model(uow, new)
        await activate_model(uow, MODEL.name, "1")
    first, second, third = [
        await _submit(parts.store, una, archive.url, **options) for options in ({}, {}, {"force": True})
    ]
    async with parts.store.writing() as uow:
        await uow.session.execute(
            update(Source).where(Source.job_id != first.id).values(due_at=utc_now() + timedelta(hours=1))
        )
    await fetcher.fetch_due(parts)
    await finish_job(parts.store, first.id)
    await parts.files.put_bytes(f"spectrograms/{first.id}.png", b"a picture")
    async with parts.store.writing() as uow:
        await uow.session.execute(update(Source).values(due_at=utc_now()))
    await fetcher.fetch_due(parts)
    known = await _look(parts.store, una, second)
    assert (known.state, known.deduplicated) == (JobState.DONE, True)
    assert await parts.files.read(f"spectrograms/{second.id}.png") == b"a picture"
    assert (await _look(parts.store, una, third)).state is JobState.QUEUED
