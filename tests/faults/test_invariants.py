"""The checks at the end of the tests under load do find what they are there to find."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from app.db.models import Event, Job
from app.db.uow import UnitOfWork
from app.domain.failures import FailureCode
from app.domain.ids import new_id
from app.domain.jobs import EventType, JobState
from app.domain.keys import audio_key, spectrogram_key
from app.integrations.files import local_files
from app.integrations.queue import RedisOutside
from app.resources import Resources
from app.services.events import record_event
from tests.support.factories import finish_job, make_job, make_principal
from tests.support.invariants import assert_events_delivered, assert_jobs_ended_once, assert_storage_matches
from tests.support.receiver import Received, Receiver


@pytest.fixture
async def parts(sqlite_store, tmp_path: Path):
    unused = RedisOutside(f"unix://{tmp_path}/nobody.sock")
    yield Resources(sqlite_store.database, unused, sqlite_store, local_files(tmp_path / "files"), "")
    await unused.close()


@pytest.fixture
async def job(parts):
    """One that is done, with its files."""
    job = await make_job(parts.store, await make_principal(parts.store))
    await finish_job(parts.store, job.id)
    await parts.files.put_bytes(audio_key(job.asset.id), b"ID3")
    await parts.files.put_bytes(spectrogram_key(job.id), b"png")
    return job


async def change(parts: Resources, *statements) -> None:
    async with parts.store.writing() as uow:
        for statement in statements:
            await uow.session.execute(statement)


async def test_what_is_right_passes(parts, job, tmp_path):
    assert await assert_jobs_ended_once(parts, [job.id]) == {JobState.DONE: 1}
    await assert_storage_matches(parts, tmp_path / "files")


@pytest.mark.parametrize(
    "promised", [[], [new_id()]], ids=["a job that nobody was promised", "a promise without a job"]
)
async def test_jobs_and_promises_must_match(parts, job, promised):
    with pytest.raises(AssertionError):
        await assert_jobs_ended_once(parts, [*promised, *([job.id] if promised else [])])


BREACHES: dict[str, Callable[[], object]] = {
    "no event": lambda: delete(Event).where(Event.type == EventType.JOB_DONE),
    "not ended": lambda: update(Job).values(state=JobState.RUNNING),
    "no result": lambda: update(Job).values(result=None),
    "another reason": lambda: update(Job).values(error={"code": FailureCode.INTERNAL, "params": {}}),
}


@pytest.mark.parametrize("breach", BREACHES)
async def test_a_job_must_have_one_end(parts, job, breach):
    await change(parts, BREACHES[breach]())
    with pytest.raises(AssertionError):
        await assert_jobs_ended_once(parts, [job.id])


async def test_a_job_must_not_end_twice(parts, job):
    async with parts.store.writing() as uow:
        await again(uow, job.id)
    with pytest.raises(AssertionError):
        await assert_jobs_ended_once(parts, [job.id])


async def again(uow: UnitOfWork, job_id) -> None:
    await record_event(uow, EventType.JOB_DONE, job_id=job_id)


@pytest.mark.parametrize("key", ["audio", "spectrogram"])
async def test_no_file_may_be_missing(parts, job, key, tmp_path):
    await parts.files.delete(audio_key(job.asset.id) if key == "audio" else spectrogram_key(job.id))
    with pytest.raises(AssertionError):
        await assert_storage_matches(parts, tmp_path / "files")


async def test_a_file_that_no_sweep_takes_is_found(parts, job, tmp_path):
    stray = tmp_path / "files" / "audio" / "stray"
    stray.write_bytes(b"x")
    os.utime(stray, (time.time() + 3600,) * 2)  # too young to be swept up
    with pytest.raises(AssertionError):
        await assert_storage_matches(parts, tmp_path / "files")


async def test_every_event_must_have_come_and_no_other(parts, job):
    with pytest.raises(AssertionError):
        await assert_events_delivered(parts, Receiver())
    stranger = Received("/hook", {"webhook-id": str(new_id())}, b"")
    await change(parts, delete(Event))
    with pytest.raises(AssertionError):
        await assert_events_delivered(parts, Receiver(received=[stranger]))
