"""Jobs as their owners see them: submit, list, look at, cancel, retry, delete."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.db.models import Job
from app.db.repositories import jobs as repository
from app.db.repositories.jobs import JobFilter
from app.db.uow import UnitOfWork, Wakeup
from app.domain.ids import utc_now
from app.domain.jobs import (
    CANCELLABLE_STATES,
    FINAL_STATES,
    RETRYABLE_STATES,
    EventType,
    JobState,
)
from app.domain.keys import spectrogram_key
from app.domain.permissions import Permission, Principal
from app.domain.views import JobOut, JobPage
from app.errors import AudioGone, Forbidden, JobNotFound, JobStateConflict, SpectrogramNotReady
from app.services import audit, batches, fair_share, sources
from app.services.events import record_event
from app.services.job_views import views

__all__ = ["JobFilter"]

PAGE_LIMIT = 100

# A caller and the job that it asks for.
_Wanted = tuple[Principal, uuid.UUID]


# --- use-cases


async def _find(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> Job:
    job = await repository.get_visible(uow.session, principal, job_id)
    if job is None:
        raise JobNotFound
    return job


async def get_job(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> JobOut:
    return (await views(uow, [await _find(uow, principal, job_id)]))[0]


async def get_jobs(uow: UnitOfWork, wanted: Collection[_Wanted]) -> dict[_Wanted, JobOut]:
    """What several callers ask for at the same time; a job that its caller may not see is missing."""
    found: dict[_Wanted, JobOut] = {}
    for principal in {principal for principal, _ in wanted}:
        ids = [job_id for caller, job_id in wanted if caller == principal]
        jobs = await repository.get_many_visible(uow.session, principal, ids)
        found |= {(principal, job.id): job for job in await views(uow, jobs)}
    return found


async def list_jobs(
    uow: UnitOfWork, principal: Principal, wanted: JobFilter, *, cursor: uuid.UUID | None = None, limit: int = 50
) -> JobPage:
    """Newest first. One row more than asked for is read, to know whether there is a next page."""
    limit = max(1, min(limit, PAGE_LIMIT))
    jobs = await repository.find(uow.session, principal, wanted, before=cursor, limit=limit + 1)
    items = await views(uow, jobs[:limit])
    return JobPage(items=items, next_cursor=str(items[-1].id) if len(jobs) > limit else None)


def _check_owner(principal: Principal, job: Job) -> None:
    own = (job.user_id is not None and job.user_id == principal.user_id) or (
        job.api_key_id is not None and job.api_key_id == principal.api_key_id
    )
    if not own and not principal.may(Permission.JOBS_DELETE_ANY):
        raise Forbidden


def _refuse_state(job: Job, allowed: Sequence[JobState]) -> JobStateConflict:
    return JobStateConflict(state=job.state, allowed=" / ".join(sorted(allowed)))


async def cancel_job(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> JobOut:
    """Cancel a job that is not finished. A worker that is at it notices within a few seconds and drops it."""
    job = await _find(uow, principal, job_id)
    _check_owner(principal, job)
    allowed = sorted(CANCELLABLE_STATES)
    values = {"state": JobState.CANCELLED, "finished_at": utc_now(), "lease_until": None, "worker_id": None}
    if not await repository.change_state(uow.session, job_id, allowed, **values):
        raise _refuse_state(job, allowed)
    await record_event(uow, EventType.JOB_CANCELLED, job_id=job_id)
    audit.record(uow, principal, "job.cancel", target_type="job", target_id=job_id)
    uow.changed_jobs.append(job_id)
    await batches.settle(uow, job.batch_id)
    return await get_job(uow, principal, job_id)


async def retry_job(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> JobOut:
    """Queue a failed or cancelled job again."""
    job = await _queue_again(uow, principal, job_id, sorted(RETRYABLE_STATES))
    audit.record(uow, principal, "job.retry", target_type="job", target_id=job_id)
    return job


async def reanalyse_job(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> JobOut:
    """Queue a finished job again: the model may be another one by now. What people have decided stays."""
    job = await _queue_again(uow, principal, job_id, sorted(FINAL_STATES))
    audit.record(uow, principal, "job.reanalyse", target_type="job", target_id=job_id)
    return job


async def _queue_again(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID, allowed: Sequence[JobState]) -> JobOut:
    job = await _find(uow, principal, job_id)
    _check_owner(principal, job)
    to_be_fetched = await sources.fetch_again(uow, job_id)
    if job.state in allowed and job.asset.storage_key is None and not to_be_fetched:
        raise AudioGone
    values = {
        "state": JobState.QUEUED,
        "finished_at": None,
        "started_at": None,
        **dict.fromkeys(("error", "progress", "result", "genre", "probability", "tier", "turn")),
        "deduplicated": False,
        "losses": 0,
        "rung_at": utc_now(),
    }
    if not await repository.change_state(uow.session, job_id, allowed, **values):
        raise _refuse_state(job, allowed)
    await batches.reopen(uow, job.batch_id)
    uow.changed_jobs.append(job_id)
    if not to_be_fetched:
        job = await _find(uow, principal, job_id)
        await fair_share.line_up(uow, job)
        uow.wakeups.append(Wakeup.of(job))
    return await get_job(uow, principal, job_id)


async def delete_job(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> list[str]:
    """Delete the job, its file's row and its review; returns the storage keys to delete after the commit."""
    job = await _find(uow, principal, job_id)
    _check_owner(principal, job)
    await repository.remove(uow.session, job)
    details = {"name": job.asset.name, "created_at": job.created_at.isoformat(timespec="seconds")}
    audit.record(uow, principal, "job.delete", target_type="job", target_id=job_id, details=details)
    await batches.settle(uow, job.batch_id)
    uow.changed_jobs.append(job_id)
    keys = [spectrogram_key(job.id)]
    return [*keys, job.asset.storage_key] if job.asset.storage_key else keys


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a caller may read. ``job_id``: whose audio it is, if it is a recording's."""

    key: str
    media_type: str
    name: str
    etag: str
    job_id: uuid.UUID | None = None


async def audio_file(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> StoredFile:
    job = await _find(uow, principal, job_id)
    asset = job.asset
    if asset.storage_key is None or asset.container is None:
        raise AudioGone
    return StoredFile(asset.storage_key, asset.container.media_type, asset.name, f'"{asset.id.hex}"', job_id)


async def spectrogram_file(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> StoredFile:
    job = await _find(uow, principal, job_id)
    if job.state is not JobState.DONE or job.finished_at is None:
        raise SpectrogramNotReady
    etag = f'"{job.id.hex}-{job.finished_at.timestamp():.0f}"'
    return StoredFile(spectrogram_key(job.id), "image/png", f"{job.id}.png", etag)
