"""Retention: what is over its time goes, in slices, with its files and with a sum in the log; everything else stays."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.db.models import Asset, AuditEntry, Batch, GenreExample, Job, Preference, Review
from app.db.uow import Store
from app.domain.ids import first_id_of, new_id, utc_now
from app.domain.jobs import JobState
from app.domain.keys import audio_key, spectrogram_key
from app.domain.permissions import Principal
from app.domain.retention import ColdClass, Due, Retention
from app.domain.reviews import ReviewState
from app.errors import AudioGone
from app.integrations.files import FileGone, Files, s3_files
from app.integrations.queue import RedisOutside
from app.resources import Resources
from app.services import batches, jobs, retention
from tests.support.factories import ADMIN, PREFERENCES, finish_job, make_job, make_principal, make_result
from tests.support.s3 import BUCKET, s3_server
from workers.retention import Retainer

SIZE = 1234  # of each upload of the factories


@pytest.fixture
async def una(store: Store) -> Principal:
    return await make_principal(store)


@pytest.fixture
async def parts(database, store, files, tmp_path):
    unused = RedisOutside(f"unix://{tmp_path}/nobody.sock")
    yield Resources(database, unused, store, files, "")
    await unused.close()


async def _recording(store: Store, files: Files, una: Principal, days_ago: float, *, genre: str = "opera", **more):
    """A finished one, with its files."""
    job = await make_job(store, una, **more)
    await finish_job(store, job.id, make_result(genre, 0.5))
    for key in (audio_key(job.asset.id), spectrogram_key(job.id)):
        await files.put_bytes(key, b"content")
    async with store.writing() as uow:
        ended = utc_now() - timedelta(days=days_ago)
        await uow.session.execute(sa.update(Job).where(Job.id == job.id).values(finished_at=ended))
        await uow.session.execute(
            sa.update(Asset).where(Asset.id == job.asset.id).values(storage_key=audio_key(job.asset.id))
        )
    return job


async def _want(store: Store, **values: object) -> Retention:
    wanted = Retention(**values)
    async with store.writing() as uow:
        await uow.session.merge(Preference(name="retention", value={"keep_reviewed": True, **values}))
    return wanted


async def _enforce(parts: Resources, cold_class: ColdClass = ColdClass.STANDARD_IA) -> None:
    assert await Retainer(PREFERENCES, cold_class).enforce(parts)


async def _sums(store: Store, action: str) -> list[tuple[int, int]]:
    async with store.reading() as uow:
        query = sa.select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        entries = (await uow.session.scalars(query)).all()
    assert {entry.actor for entry in entries} <= {"Earmark"}
    return [(entry.details["count"], entry.details["size_bytes"]) for entry in entries]


async def _there(files: Files, *keys: str) -> list[bool]:
    found = []
    for key in keys:
        try:
            found.append(await files.size_bytes(key) > 0)
        except FileGone:
            found.append(False)
    return found


async def test_nothing_goes_unless_an_admin_wants_it(parts, store, files, una):
    job = await _recording(store, files, una, 10_000)
    await _enforce(parts)
    async with store.reading() as uow:
        assert (await jobs.get_job(uow, una, job.id)).asset.kept
        assert await retention.preview(uow, Retention(), can_cool=True) == retention.RetentionPreview(
            results=Due(0), audio=Due(0), cold=Due(0), audit=Due(0)
        )


async def test_audio_goes_and_the_result_stays(parts, store, files, una, *, outside):
    old, young = await _recording(store, files, una, 31), await _recording(store, files, una, 29)
    waiting = await make_job(store, una)
    wanted = await _want(store, audio_days=30)
    async with store.reading() as uow:
        assert (await retention.preview(uow, wanted, can_cool=False)).audio == Due(1, SIZE)
    outside.changed_jobs.clear()
    await _enforce(parts)
    async with store.reading() as uow:
        found = [await jobs.get_job(uow, una, job.id) for job in (old, young, waiting)]
        with pytest.raises(AudioGone):
            await jobs.audio_file(uow, una, old.id)
    assert [job.asset.kept for job in found] == [False, True, True]
    assert found[0].result is not None
    keys = (audio_key(old.asset.id), spectrogram_key(old.id), audio_key(young.asset.id))
    assert await _there(files, *keys) == [False, True, True]
    assert outside.changed_jobs == [old.id]
    with pytest.raises(AudioGone):
        async with store.writing() as uow:
            await jobs.reanalyse_job(uow, una, old.id)
    await _enforce(parts)
    assert await _sums(store, "retention.audio") == [(1, SIZE)]


async def test_recordings_go_with_all_that_belongs_to_them(parts, store, files, una):
    async with store.writing() as uow:
        batch = await batches.create_batch(uow, una, "old ones", private=False)
    old = await _recording(store, files, una, 91, batch_id=batch.id)
    young = await _recording(store, files, una, 1)
    async with store.writing() as uow:
        await batches.close_batch(uow, una, batch.id)
    await _want(store, results_days=90, audio_days=90)
    await _enforce(parts)
    async with store.reading() as uow:
        assert (await uow.session.scalars(sa.select(Job.id))).all() == [young.id]
        assert (await uow.session.scalars(sa.select(Asset.id))).all() == [young.asset.id]
        assert (await uow.session.scalars(sa.select(Review.job_id))).all() == [young.id]
        assert (await uow.session.scalars(sa.select(Batch.id))).all() == []
    assert await _there(files, audio_key(old.asset.id), spectrogram_key(old.id)) == [False, False]
    assert await _sums(store, "retention.results") == [(1, SIZE)]
    assert await _sums(store, "retention.audio") == []


@pytest.mark.parametrize(("keep_reviewed", "left"), [(True, {"example", "decided", "labelled"}), (False, {"example"})])
async def test_what_people_decided_on_and_examples_are_kept(
    parts, store, files, una, *, keep_reviewed: bool, left: set
):
    made = {
        name: await _recording(store, files, una, 50) for name in ("plain", "waiting", "decided", "labelled", "example")
    }
    async with store.writing() as uow:
        decided = sa.update(Review).where(Review.job_id == made["decided"].id).values(state=ReviewState.DECIDED)
        await uow.session.execute(decided)
        await uow.session.execute(sa.update(Job).where(Job.id == made["labelled"].id).values(label="opera"))
        uow.session.add(GenreExample(genre="opera", job_id=made["example"].id))
    await _want(store, results_days=40, keep_reviewed=keep_reviewed)
    await _enforce(parts)
    async with store.reading() as uow:
        ids = set(await uow.session.scalars(sa.select(Job.id)))
    assert {name for name, job in made.items() if job.id in ids} == left


async def test_slices_are_taken_up_again_where_they_were_broken_off(parts, store, files, una, *, monkeypatch):
    monkeypatch.setattr(retention, "SLICE", 2)
    monkeypatch.setattr("workers.retention.SLICE", 2)
    made = [await _recording(store, files, una, 50 + number) for number in range(5)]
    wanted = await _want(store, audio_days=40)
    async with store.writing() as uow:
        first = await retention.delete_audio(uow, wanted)
    assert set(first.keys) == {audio_key(job.asset.id) for job in made[-2:]}, "the oldest first"
    # The process died here: its two files are orphans now, which the chores sweep up.
    assert not await Retainer(PREFERENCES, ColdClass.STANDARD_IA).enforce(parts, within_s=0)
    await _enforce(parts)
    assert await _sums(store, "retention.audio") == [(2, 2 * SIZE), (2, 2 * SIZE), (1, SIZE)]
    assert await _there(files, *(audio_key(job.asset.id) for job in made)) == [False] * 3 + [True] * 2


async def test_two_processes_count_nothing_twice(parts, store, files, una, *, monkeypatch):
    monkeypatch.setattr(retention, "SLICE", 3)
    monkeypatch.setattr("workers.retention.SLICE", 3)
    for _ in range(10):
        await _recording(store, files, una, 50)
    await _want(store, results_days=40)
    await asyncio.gather(_enforce(parts), _enforce(parts))
    await _enforce(parts)
    assert sum(count for count, _ in await _sums(store, "retention.results")) == 10
    async with store.reading() as uow:
        assert await uow.session.scalar(sa.select(sa.func.count()).select_from(Job)) == 0


async def test_the_audit_log_is_shortened_and_says_so(parts, store, una):
    async with store.writing() as uow:
        for days in (400, 399, 100):
            moment = utc_now() - timedelta(days=days)
            entry_id = new_id().int & ((1 << 80) - 1) | first_id_of(moment).int
            uow.session.add(AuditEntry(id=type(new_id())(int=entry_id), action="x.y", actor="Otto", created_at=moment))
    wanted = await _want(store, audit_days=365)
    async with store.reading() as uow:
        assert (await retention.preview(uow, wanted, can_cool=False)).audit == Due(2)
    await _enforce(parts)
    await _enforce(parts)
    async with store.reading() as uow:
        query = sa.select(AuditEntry.actor).where(AuditEntry.action != "user.sign_in").order_by(AuditEntry.id)
        actors = (await uow.session.scalars(query)).all()
    assert actors == ["Otto", "Earmark"]
    assert await _sums(store, "retention.audit") == [(2, 0)]


async def test_running_and_failed_jobs(parts, store, files, una):
    """A failed one has an end too; one that is tried again has none."""
    failed, again = await _recording(store, files, una, 50), await _recording(store, files, una, 50)
    async with store.writing() as uow:
        await uow.session.execute(sa.update(Job).where(Job.id == failed.id).values(state=JobState.FAILED))
        await jobs.reanalyse_job(uow, ADMIN, again.id)
    await _want(store, results_days=40)
    await _enforce(parts)
    async with store.reading() as uow:
        assert (await uow.session.scalars(sa.select(Job.id))).all() == [again.id]


def test_how_short_the_audit_log_may_be():
    with pytest.raises(ValueError, match="30 days"):
        Retention(audit_days=29)
    assert Retention(audit_days=30).audit_days == 30


async def test_audio_moves_to_the_cold_class_once_and_is_read_as_before(database, store, una, tmp_path):
    with s3_server() as address:
        files = s3_files(
            f"s3://{BUCKET}/archive", endpoint=address, region="us-east-1", access_key_id="k", secret_access_key="s"
        )
        old, gone = await _recording(store, files, una, 8), await _recording(store, files, una, 8)
        await _recording(store, files, una, 6)
        await files.put_bytes(audio_key(old.asset.id), b"x" * 6_000_000)  # in parts
        await files.delete(audio_key(gone.asset.id))
        parts = Resources(database, RedisOutside(f"unix://{tmp_path}/nobody.sock"), store, files, "")
        wanted = await _want(store, cold_days=7)
        async with store.reading() as uow:
            assert (await retention.preview(uow, wanted, can_cool=True)).cold == Due(2, 2 * SIZE)
        await _enforce(parts, ColdClass.GLACIER_IR)
        await _enforce(parts)
        assert await files.read(audio_key(old.asset.id)) == b"x" * 6_000_000
        classes = await asyncio.to_thread(_storage_classes, address)
        await parts.outside.close()
    assert [classes[key] for key in classes if str(old.asset.id) in key] == ["GLACIER_IR"]
    assert sorted(classes.values()).count("STANDARD") == len(classes) - 1
    assert await _sums(store, "retention.cold") == [(2, 2 * SIZE)]


def _storage_classes(address: str) -> dict[str, str]:
    import boto3  # noqa: PLC0415  slow to import

    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    return {found["Key"]: found["StorageClass"] for found in client.list_objects_v2(Bucket=BUCKET)["Contents"]}
