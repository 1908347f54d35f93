"""Jobs as their owners see them: submit, list, look at, cancel, retry, delete."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from app.db.models import Asset, Job
from app.db.repositories import jobs as repository
from app.db.repositories.jobs import JobFilter
from app.db.uow import UnitOfWork, Wakeup
from app.domain.ids import utc_now
from app.domain.jobs import CANCELLABLE_STATES, RETRYABLE_STATES, AnalysisScope, EventType, JobKind, JobState
from app.domain.keys import audio_key, spectrogram_key
from app.domain.permissions import Permission, Principal
from app.domain.views import JobOut, JobPage
from app.errors import AudioGone, Forbidden, JobNotFound, JobStateConflict, SpectrogramNotReady
from app.services import batches
from app.services.events import record_event
from app.services.job_views import views
from app.services.uploads import StoredUpload

__all__ = ["JobFilter"]

PAGE_LIMIT = 100


# --- use-cases


async def submit_job(
    uow: UnitOfWork,
    principal: Principal,
    upload: StoredUpload,
    kind: JobKind,
    *,
    scope: AnalysisScope = AnalysisScope.START,
    batch_id: uuid.UUID | None = None,
) -> JobOut:
    """Write asset, job and event for a file that is already in storage; a worker is woken after the commit.

    Raises:
        BatchNotFound, Forbidden: the caller can't add to that batch.
    """
    if batch_id is not None:
        await batches.admit(uow, principal, batch_id)
    asset = Asset(
        id=upload.asset_id,
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        name=upload.name,
        container=upload.container,
        storage_key=audio_key(upload.asset_id),
    )
    job = Job(
        asset=asset,
        kind=kind,
        scope=scope,
        review=None,
        batch_id=batch_id,
        user_id=principal.user_id,
        api_key_id=principal.api_key_id,
    )
    uow.session.add(job)
    await uow.session.flush()  # the event and the wake-up need the id
    await record_event(uow, EventType.JOB_CREATED, job_id=job.id)
    _ring(uow, job)
    return (await views(uow, [job]))[0]


def _ring(uow: UnitOfWork, job: Job) -> None:
    uow.wakeups.append(Wakeup.of(job))
    uow.changed_jobs.append(job.id)


async def _find(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> Job:
    job = await repository.get_visible(uow.session, principal, job_id)
    if job is None:
        raise JobNotFound
    return job


async def get_job(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> JobOut:
    return (await views(uow, [await _find(uow, principal, job_id)]))[0]


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
    uow.changed_jobs.append(job_id)
    await batches.settle(uow, job.batch_id)
    return await get_job(uow, principal, job_id)


async def retry_job(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> JobOut:
    """Queue a failed or cancelled job again."""
    job = await _find(uow, principal, job_id)
    _check_owner(principal, job)
    allowed = sorted(RETRYABLE_STATES)
    if job.state in RETRYABLE_STATES and job.asset.storage_key is None:
        raise AudioGone
    values = {
        "state": JobState.QUEUED,
        "finished_at": None,
        "started_at": None,
        "error": None,
        "progress": None,
        "losses": 0,
        "rung_at": utc_now(),
    }
    if not await repository.change_state(uow.session, job_id, allowed, **values):
        raise _refuse_state(job, allowed)
    await batches.reopen(uow, job.batch_id)
    _ring(uow, await _find(uow, principal, job_id))
    return await get_job(uow, principal, job_id)


async def delete_job(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> list[str]:
    """Delete the job, its file's row and its review; returns the storage keys to delete after the commit."""
    job = await _find(uow, principal, job_id)
    _check_owner(principal, job)
    await repository.remove(uow.session, job)
    await batches.settle(uow, job.batch_id)
    uow.changed_jobs.append(job_id)
    keys = [spectrogram_key(job.id)]
    return [*keys, job.asset.storage_key] if job.asset.storage_key else keys


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a job that a caller may read."""

    key: str
    media_type: str
    name: str
    etag: str


async def audio_file(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> StoredFile:
    job = await _find(uow, principal, job_id)
    asset = job.asset
    if asset.storage_key is None or asset.container is None:
        raise AudioGone
    return StoredFile(asset.storage_key, asset.container.media_type, asset.name, f'"{asset.id.hex}"')


async def spectrogram_file(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> StoredFile:
    job = await _find(uow, principal, job_id)
    if job.state is not JobState.DONE or job.finished_at is None:
        raise SpectrogramNotReady
    etag = f'"{job.id.hex}-{job.finished_at.timestamp():.0f}"'
    return StoredFile(spectrogram_key(job.id), "image/png", f"{job.id}.png", etag)
