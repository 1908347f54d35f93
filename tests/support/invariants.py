"""What must hold after whatever has happened: nothing accepted is lost, nothing is done twice, nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.db.models import Asset, Event, Job, WebhookDelivery
from app.domain.failures import FailureCode
from app.domain.jobs import FINAL_STATES, EventType, JobState
from app.domain.keys import AUDIO_PREFIX, PART_PREFIX, SPECTROGRAM_PREFIX, spectrogram_key
from app.domain.webhooks import PUBLISHED, DeliveryState
from app.resources import Resources
from tests.support.receiver import Receiver
from workers import chores

_ENDS = (EventType.JOB_DONE, EventType.JOB_FAILED)


async def until_ended(parts: Resources, *, timeout_s: float = 600) -> None:
    """Until no job is on its way. Nobody tells of the last one, so this asks again and again."""
    on_their_way = select(func.count()).select_from(Job).where(Job.state.not_in(sorted(FINAL_STATES)))
    await _until_none(parts, on_their_way, timeout_s)


async def until_delivered(parts: Resources, *, timeout_s: float = 120) -> None:
    """Until no webhook is on its way."""
    pending = select(func.count()).select_from(WebhookDelivery).where(WebhookDelivery.state == DeliveryState.PENDING)
    await _until_none(parts, pending, timeout_s)


async def _until_none(parts: Resources, counting, timeout_s: float) -> None:
    left = None
    try:
        async with asyncio.timeout(timeout_s):
            while left != 0:
                async with parts.store.reading() as uow:
                    left = await uow.session.scalar(counting)
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{left} are still on their way after {timeout_s} s: {counting}") from None


async def assert_jobs_ended_once(
    parts: Resources, promised: Collection[uuid.UUID], reasons: Collection[FailureCode] = ()
) -> Counter[JobState]:
    """Every promised job has exactly one end: a result, or a failure for one of the ``reasons``. There are no others."""
    assert len(set(promised)) == len(promised)
    async with parts.store.reading() as uow:
        jobs = {job.id: job for job in (await uow.session.scalars(select(Job))).unique()}
        ends = await uow.session.execute(select(Event.job_id, Event.type).where(Event.type.in_(_ENDS)))
    events = defaultdict(list)
    for job_id, kind in ends:
        events[job_id].append(kind)
    assert set(promised) == jobs.keys()
    for job_id, job in jobs.items():
        assert job.state in (JobState.DONE, JobState.FAILED)
        assert (job.result is None) is (job.state is JobState.FAILED)
        assert job.error is None or job.error["code"] in reasons
        assert events[job_id] == [EventType.JOB_DONE if job.state is JobState.DONE else EventType.JOB_FAILED]
    return Counter(job.state for job in jobs.values())


async def assert_events_delivered(parts: Resources, receiver: Receiver) -> None:
    """Every event that the outside is told has come, under one id of its own, and nothing else has."""
    async with parts.store.reading() as uow:
        told = set(await uow.session.scalars(select(Event.id).where(Event.type.in_(sorted(PUBLISHED)))))
    assert {uuid.UUID(request.headers["webhook-id"]) for request in receiver.received} == told


async def assert_storage_matches(parts: Resources, folder: Path | None) -> None:
    """Each file that a row names is there; what no row knows is gone after a sweep (as if an hour had passed).

    ``folder``: where the files lie if not on S3; then nothing else may lie there either, such as halves of uploads.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chores, "_ORPHAN_AGE", timedelta(seconds=-60))
        await chores.delete_orphans(parts)
    async with parts.store.reading() as uow:
        audio = set(await uow.session.scalars(select(Asset.storage_key).where(Asset.storage_key.is_not(None))))
        jobs = [(job_id, state) for job_id, state in await uow.session.execute(select(Job.id, Job.state))]
    pictures = {spectrogram_key(job_id) for job_id, state in jobs if state is JobState.DONE}
    may_be = {spectrogram_key(job_id) for job_id, _ in jobs}  # drawn, but the worker died before it said so
    found = await _keys(parts) if folder is None else _paths(folder)
    assert audio | pictures <= found
    assert found <= audio | may_be


async def _keys(parts: Resources) -> set[str]:
    moment = chores.utc_now() + timedelta(days=1)
    prefixes = (AUDIO_PREFIX, SPECTROGRAM_PREFIX, PART_PREFIX)
    return {key for prefix in prefixes async for keys in parts.files.keys_older_than(prefix, moment) for key in keys}


def _paths(folder: Path) -> set[str]:
    prefixes = (AUDIO_PREFIX, SPECTROGRAM_PREFIX, PART_PREFIX)
    walks = (os.walk(folder / prefix) for prefix in prefixes)
    return {
        str((Path(where) / name).relative_to(folder)) for walk in walks for where, _, names in walk for name in names
    }
