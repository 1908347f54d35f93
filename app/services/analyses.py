"""Jobs as the workers see them: claim, keep the lease, record a result or a failure, give back, sweep.

Every step is a conditional update on the job's row, so each can be repeated and of two workers only one gets through.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from sqlalchemy import ColumnElement, select

from app.db.models import Job, Model
from app.db.repositories import jobs as repository
from app.db.repositories import queue
from app.db.uow import UnitOfWork, Wakeup
from app.domain.failures import Failure, FailureCode
from app.domain.ids import utc_now
from app.domain.jobs import MAX_LOSSES, AnalysisScope, EventType, JobKind, JobState, Lane, is_bulk
from app.domain.preferences import Preferences
from app.domain.results import GenreResult
from app.services import batches, preferences, reviews
from app.services.events import record_event

_SWEEP_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to a job, until the lease ends.

    ``bulk``: nobody sits and waits for it. ``queued_ms``: from the upload to this claim.
    """

    job_id: uuid.UUID
    attempt: int
    worker_id: uuid.UUID
    kind: JobKind
    scope: AnalysisScope
    bulk: bool
    storage_key: str | None
    queued_ms: float


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What decoding has found out about the file."""

    duration_s: float
    sample_rate_hz: int
    channels: int
    title: str | None
    artist: str | None


async def claim_job(uow: UnitOfWork, job_id: uuid.UUID, *, worker_id: uuid.UUID, lease_s: float) -> Claim | None:
    """Take a queued job; None if it is not queued any more (done, cancelled, deleted or another worker's)."""
    now = utc_now()
    values = {
        "state": JobState.RUNNING,
        "worker_id": worker_id,
        "attempt": Job.attempt + 1,
        "started_at": now,
        "lease_until": now + timedelta(seconds=lease_s),
    }
    if not await repository.change_state(uow.session, job_id, [JobState.QUEUED], **values):
        return None
    job = await repository.get(uow.session, job_id)
    assert job is not None
    uow.changed_jobs.append(job_id)
    return Claim(
        job_id=job.id,
        attempt=job.attempt,
        worker_id=worker_id,
        kind=job.kind,
        scope=job.scope,
        bulk=is_bulk(job.scope, job.batch_id),
        storage_key=job.asset.storage_key,
        queued_ms=(now - job.created_at).total_seconds() * 1000,
    )


@dataclass(frozen=True, slots=True)
class Summons:
    """What a worker should know before it claims a job.

    A ring says that one more job waits in that ``lane``: whose turn it is, is decided when a worker is free. Only a job over
    which a worker has fallen silent (``lost``), or one without a lane, is meant by its name.
    """

    job_id: uuid.UUID
    scope: AnalysisScope
    lane: Lane | None
    lost: bool


async def look_at(uow: UnitOfWork, job_id: uuid.UUID) -> Summons | None:
    """None if there is no such job any more."""
    query = select(Job.scope, Job.lane, Job.losses).where(Job.id == job_id)
    row = (await uow.session.execute(query)).one_or_none()
    return Summons(job_id, row.scope, row.lane, lost=row.losses > 0) if row else None


async def answer_ring(uow: UnitOfWork, summons: Summons, *, worker_id: uuid.UUID, lease_s: float) -> Claim | None:
    """Take the job that a ring is for; None if there is none any more."""
    if summons.lost or summons.lane is None:
        return await claim_job(uow, summons.job_id, worker_id=worker_id, lease_s=lease_s)
    job_id = await queue.next_in_line(uow.session, summons.lane)
    return None if job_id is None else await claim_job(uow, job_id, worker_id=worker_id, lease_s=lease_s)


async def renew_leases(
    uow: UnitOfWork, worker_id: uuid.UUID, job_ids: Sequence[uuid.UUID], *, lease_s: float
) -> set[uuid.UUID]:
    """Extend the leases; returns the jobs that are still this worker's (the others were cancelled or taken away)."""
    if not job_ids:
        return set()
    return await repository.renew_leases(uow.session, worker_id, job_ids, utc_now() + timedelta(seconds=lease_s))


async def record_progress(uow: UnitOfWork, claim: Claim, progress: float) -> bool:
    """Note how far a long analysis has got, from 0 to 1; False if the job is no longer the claimer's."""
    ours = await repository.change_state(
        uow.session, claim.job_id, [JobState.RUNNING], *_still_ours(claim), progress=progress
    )
    if ours:
        uow.changed_jobs.append(claim.job_id)
    return ours


def _still_ours(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return (Job.worker_id == claim.worker_id, Job.attempt == claim.attempt)


async def _finish(uow: UnitOfWork, claim: Claim, state: JobState, **values: object) -> Job | None:
    """Move the claimed job to a final state; None if it is no longer the claimer's."""
    values = {"state": state, "finished_at": utc_now(), "lease_until": None, "worker_id": None, **values}
    if not await repository.change_state(uow.session, claim.job_id, [JobState.RUNNING], *_still_ours(claim), **values):
        return None
    uow.changed_jobs.append(claim.job_id)
    return await repository.get(uow.session, claim.job_id)


async def record_result(
    uow: UnitOfWork,
    claim: Claim,
    result: GenreResult,
    facts: FileFacts,
    *,
    defaults: Preferences,
    model_id: uuid.UUID | None = None,
) -> bool:
    """Write result, review entry and event in one transaction; False if the job is no longer the claimer's.

    ``model_id``: the model that gave the result.
    """
    job = await _finish(
        uow,
        claim,
        JobState.DONE,
        result=msgspec.to_builtins(result),
        genre=result.top1.genre,
        probability=result.top1.probability,
        tier=result.tier,
        progress=None,
        # A model that has been deleted meanwhile is still named in the result itself.
        model_id=select(Model.id).where(Model.id == model_id).scalar_subquery(),
    )
    if job is None:
        return False
    asset = job.asset
    asset.duration_s, asset.sample_rate_hz, asset.channels = facts.duration_s, facts.sample_rate_hz, facts.channels
    asset.title, asset.artist = facts.title, facts.artist
    await reviews.consider(uow, job, result, await preferences.current(uow, defaults))
    await record_event(uow, EventType.JOB_DONE, job_id=job.id, data={"genre": result.top1.genre})
    await batches.settle(uow, job.batch_id)
    return True


async def record_failure(uow: UnitOfWork, claim: Claim, failure: Failure) -> str | None:
    """Write failure and event. For a final failure the audio is given up: its storage key is returned for deletion."""
    error = {"code": failure.code, "params": failure.params}
    job = await _finish(uow, claim, JobState.FAILED, error=error)
    if job is None:
        return None
    await record_event(uow, EventType.JOB_FAILED, job_id=job.id, data={"code": failure.code})
    key = None
    if failure.words.final:
        key, job.asset.storage_key = job.asset.storage_key, None
    await batches.settle(uow, job.batch_id)
    return key


async def give_back(uow: UnitOfWork, claim: Claim) -> None:
    """A stopping worker returns a job it could not finish."""
    values = {
        "state": JobState.QUEUED,
        "lease_until": None,
        "worker_id": None,
        "progress": None,
        "rung_at": utc_now(),
    }
    if await repository.change_state(uow.session, claim.job_id, [JobState.RUNNING], *_still_ours(claim), **values):
        uow.wakeups.append(Wakeup(claim.job_id, claim.attempt, claim.bulk))
        uow.changed_jobs.append(claim.job_id)


async def requeue_lost(uow: UnitOfWork) -> int:
    """Jobs whose worker fell silent go back to the queue, or fail once that has happened too often."""
    now = utc_now()
    lost = await repository.with_expired_lease(uow.session, now, _SWEEP_LIMIT)
    for job in lost:
        expired = (Job.lease_until < now, Job.attempt == job.attempt)
        await (_fail_lost(uow, job, *expired) if job.losses + 1 >= MAX_LOSSES else _requeue(uow, job, *expired))
    await batches.settle(uow, *(job.batch_id for job in lost))
    return len(lost)


async def _requeue(uow: UnitOfWork, job: Job, *conditions: ColumnElement[bool]) -> None:
    values = {
        "state": JobState.QUEUED,
        "lease_until": None,
        "worker_id": None,
        "progress": None,
        "rung_at": utc_now(),
        "losses": Job.losses + 1,
    }
    if await repository.change_state(uow.session, job.id, [JobState.RUNNING], *conditions, **values):
        uow.wakeups.append(Wakeup.of(job))
        uow.changed_jobs.append(job.id)


async def _fail_lost(uow: UnitOfWork, job: Job, *conditions: ColumnElement[bool]) -> None:
    error = {"code": FailureCode.WORKER_LOST, "params": {"attempts": job.losses + 1}}
    values = {
        "state": JobState.FAILED,
        "finished_at": utc_now(),
        "lease_until": None,
        "worker_id": None,
        "error": error,
    }
    if await repository.change_state(uow.session, job.id, [JobState.RUNNING], *conditions, **values):
        await record_event(uow, EventType.JOB_FAILED, job_id=job.id, data={"code": FailureCode.WORKER_LOST})
        uow.changed_jobs.append(job.id)


async def ring_again(uow: UnitOfWork, *, after_s: float) -> int:
    """Ring once more for queued jobs nobody has rung for lately: Redis may have been down or lost its memory."""
    now = utc_now()
    waiting = await repository.queued_and_unheard(uow.session, now - timedelta(seconds=after_s), _SWEEP_LIMIT)
    await repository.mark_rung(uow.session, [job.id for job in waiting], now)
    uow.wakeups.extend(Wakeup.of(job) for job in waiting)
    return len(waiting)
