"""Recordings that are still to be fetched from an address: which are due, and what came of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, select, update

from app.db.models import Job, Source
from app.db.repositories import jobs as repository
from app.db.uow import UnitOfWork
from app.domain.addresses import IntranetHosts
from app.domain.failures import Failure
from app.domain.ids import utc_now
from app.domain.jobs import EventType, JobState
from app.integrations.addresses import check_url
from app.services import batches
from app.services.events import record_event

# Whoever fetches has so long; a process that died over it is followed by another one then.
LEASE = timedelta(minutes=10)
# Between tries to reach a host that does not answer.
DELAYS_S = (5, 30, 120)


@dataclass(frozen=True, slots=True)
class DueSource:
    """An address to fetch the recording of a job from, now."""

    job_id: uuid.UUID
    asset_id: uuid.UUID
    url: str
    name: str
    attempt: int


def check_source(url: str, intranet: IntranetHosts) -> None:
    """
    Raises:
        UrlRefused, AddressRefused: the address can't or must not be called.
    """
    check_url(url, intranet)


async def take_due_sources(uow: UnitOfWork, limit: int) -> list[DueSource]:
    """The oldest ones; of several processes that ask at the same time each gets others."""
    now = utc_now()
    query = (
        select(Source, Job)
        .join(Job, Job.id == Source.job_id)
        .where(Source.due_at <= now, Job.state == JobState.QUEUED)
        .order_by(Source.due_at)
        .limit(limit)
    )
    found = (await uow.session.execute(query)).unique().all()
    return [
        DueSource(job.id, job.asset_id, source.url, job.asset.name, source.attempt)
        for source, job in found
        if await _take(uow, source, now)
    ]


async def _take(uow: UnitOfWork, source: Source, now: datetime) -> bool:
    """Conditional: whoever is first moves the time, and the others find it moved."""
    statement = update(Source).where(Source.job_id == source.job_id, Source.due_at == source.due_at)
    values = {"due_at": now + LEASE, "attempt": source.attempt + 1}
    result = cast(
        "CursorResult[Any]",
        await uow.session.execute(statement.values(values), execution_options={"synchronize_session": False}),
    )
    return result.rowcount == 1


async def try_again_or_fail(uow: UnitOfWork, due: DueSource, failure: Failure) -> None:
    """The host may be back soon; after some tries the job fails."""
    if due.attempt < len(DELAYS_S):
        due_at = utc_now() + timedelta(seconds=DELAYS_S[due.attempt])
        await uow.session.execute(update(Source).where(Source.job_id == due.job_id).values(due_at=due_at))
    else:
        await fail_source(uow, due.job_id, failure)


async def fail_source(uow: UnitOfWork, job_id: uuid.UUID, failure: Failure) -> None:
    """The job fails, if it still waits. Its address is kept for as long as trying again may help."""
    values = {
        "state": JobState.FAILED,
        "finished_at": utc_now(),
        "error": {"code": failure.code, "params": failure.params},
    }
    await uow.session.execute(update(Source).where(Source.job_id == job_id).values(due_at=None))
    if not await repository.change_state(uow.session, job_id, [JobState.QUEUED], **values):
        return
    job = await repository.get(uow.session, job_id)
    assert job is not None
    uow.changed_jobs.append(job_id)
    await record_event(uow, EventType.JOB_FAILED, job_id=job_id, data={"code": failure.code})
    await batches.settle(uow, job.batch_id)
    if failure.words.final:
        source = await uow.session.get(Source, job_id)
        await uow.session.delete(source)


async def fetch_again(uow: UnitOfWork, job_id: uuid.UUID) -> bool:
    """For a job that is tried again: is its recording still to be fetched? Then it is fetched from now on."""
    result = cast(
        "CursorResult[Any]",
        await uow.session.execute(
            update(Source).where(Source.job_id == job_id).values(due_at=utc_now(), attempt=0),
            execution_options={"synchronize_session": False},
        ),
    )
    return result.rowcount == 1
