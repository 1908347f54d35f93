"""Batches: jobs that were submitted together, their progress and their end."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from app.db.models import Batch
from app.db.repositories import batches as repository
from app.db.repositories.batches import StateCount
from app.db.repositories.jobs import submitter_names
from app.db.uow import Store, UnitOfWork, Wakeup
from app.domain.batches import (
    BatchDetailOut,
    BatchOut,
    BatchPage,
    BatchProgress,
    BatchState,
    FailureCount,
    GenreCount,
    TierCount,
)
from app.domain.failures import WORDS, FailureCode
from app.domain.genres import Tier
from app.domain.ids import utc_now
from app.domain.jobs import EventType, JobState
from app.domain.permissions import Permission, Principal
from app.errors import BatchNotFound, Forbidden
from app.services import audit, fair_share
from app.services.events import record_event, record_job_events

PAGE_LIMIT = 100

_RATE_WINDOW = timedelta(minutes=1)
# A transaction that changes all jobs of a batch would hold up everybody else: it goes on in steps.
_STEP = 500
# A batch that nobody closes is complete once nothing has happened to it for so long.
IDLE_S = 600.0
_ADMITTED = "admitted to batches"


# --- views


def _progress(counts: Sequence[StateCount], now: datetime) -> BatchProgress:
    by_state = {count.state: count.count for count in counts}
    pending = by_state.get(JobState.QUEUED, 0) + by_state.get(JobState.RUNNING, 0)
    rate = _rate_per_minute(counts, now) if pending else None
    return BatchProgress(
        total=sum(by_state.values()),
        **{state.value: by_state.get(state, 0) for state in JobState},
        rate_per_minute=rate,
        remaining_s=60 * pending / rate if rate else None,
    )


def _rate_per_minute(counts: Sequence[StateCount], now: datetime) -> float | None:
    """Over the last minute, or since the first job began if that is less long ago."""
    finished = sum(count.lately for count in counts)
    begun = min((count.started_at for count in counts if count.started_at), default=None)
    if not finished or begun is None:
        return None
    window = min(_RATE_WINDOW, max(now - begun, timedelta(seconds=1)))
    return finished * (timedelta(minutes=1) / window)


def _state(batch: Batch) -> BatchState:
    if batch.finished_at is not None:
        return BatchState.DONE
    return BatchState.OPEN if batch.closed_at is None else BatchState.RUNNING


async def _views(uow: UnitOfWork, batches: Sequence[Batch]) -> list[BatchOut]:
    now = utc_now()
    counts: dict[uuid.UUID, list[StateCount]] = defaultdict(list)
    for count in await repository.count_states(uow.session, [batch.id for batch in batches], now - _RATE_WINDOW):
        counts[count.batch_id].append(count)
    names = await submitter_names(uow.session, batches)
    return [_batch_out(batch, names, _progress(counts[batch.id], now)) for batch in batches]


def _batch_out(batch: Batch, submitters: dict[uuid.UUID, str], progress: BatchProgress) -> BatchOut:
    submitter = batch.user_id or batch.api_key_id
    return BatchOut(
        id=batch.id,
        name=batch.name,
        private=batch.private,
        state=_state(batch),
        submitted_by=submitters.get(submitter) if submitter else None,
        created_at=batch.created_at,
        closed_at=batch.closed_at,
        finished_at=batch.finished_at,
        progress=progress,
    )


def _failure_counts(counts: Sequence[tuple[str, int]]) -> list[FailureCount]:
    found = [(FailureCode(code), count) for code, count in counts]
    return [
        FailureCount(code, WORDS[code].title, count, not WORDS[code].final)
        for code, count in sorted(found, key=lambda pair: (-pair[1], pair[0]))
    ]


async def _detail(uow: UnitOfWork, batch: Batch) -> BatchDetailOut:
    [view] = await _views(uow, [batch])
    genres: Counter[str] = Counter()
    tiers: Counter[Tier] = Counter()
    for genre, tier, count in await repository.count_genres(uow.session, batch.id):
        genres[genre] += count
        tiers[tier] += count
    return BatchDetailOut(
        **msgspec.structs.asdict(view),
        genres=[GenreCount(genre, count) for genre, count in genres.most_common()],
        tiers=[TierCount(tier, tiers[tier]) for tier in Tier],
        failures=_failure_counts(await repository.count_failures(uow.session, batch.id)),
        to_review=await repository.count_reviews(uow.session, batch.id),
    )


# --- use-cases


async def create_batch(uow: UnitOfWork, principal: Principal, name: str, *, private: bool = False) -> BatchDetailOut:
    """An open, empty batch of the caller's. ``name`` is 1 to 200 characters."""
    batch = Batch(name=name, private=private, user_id=principal.user_id, api_key_id=principal.api_key_id)
    uow.session.add(batch)
    await uow.session.flush()
    audit.record(uow, principal, "batch.create", target_type="batch", target_id=batch.id, details={"name": name})
    return await _detail(uow, batch)


async def _find(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID) -> Batch:
    batch = await repository.get_visible(uow.session, principal, batch_id)
    if batch is None:
        raise BatchNotFound
    return batch


async def get_batch(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID) -> BatchDetailOut:
    return await _detail(uow, await _find(uow, principal, batch_id))


async def list_batches(
    uow: UnitOfWork, principal: Principal, *, cursor: uuid.UUID | None = None, limit: int = 50
) -> BatchPage:
    """Newest first. One row more than asked for is read, to know whether there is a next page."""
    limit = max(1, min(limit, PAGE_LIMIT))
    batches = await repository.find(uow.session, principal, before=cursor, limit=limit + 1)
    items = await _views(uow, batches[:limit])
    return BatchPage(items=items, next_cursor=str(items[-1].id) if len(batches) > limit else None)


async def may_change(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID) -> bool:
    """Its owner and admins add to it, close, cancel and retry it."""
    return principal.may(Permission.JOBS_DELETE_ANY) or await repository.is_own(uow.session, principal, batch_id)


async def check_own(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID) -> Batch:
    """
    Raises:
        BatchNotFound, Forbidden: the caller can't change it.
    """
    batch = await _find(uow, principal, batch_id)
    if not await may_change(uow, principal, batch_id):
        raise Forbidden
    return batch


async def admit(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID) -> None:
    """Open the batch for a job that this transaction adds; a closed one is open again then.

    Raises:
        BatchNotFound, Forbidden: the caller can't add to that batch.
    """
    admitted: set[tuple[str, uuid.UUID]] = uow.session.info.setdefault(_ADMITTED, set())
    if (principal.ident, batch_id) in admitted:  # by this very transaction, which holds the row
        return
    await check_own(uow, principal, batch_id)
    if await repository.lock(uow.session, batch_id):
        await repository.set_times(uow.session, batch_id, closed_at=None, finished_at=None)
    admitted.add((principal.ident, batch_id))


async def close_batch(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID) -> BatchDetailOut:
    """All its jobs have been submitted: the batch is done as soon as they are. Closing it again changes nothing."""
    batch = await check_own(uow, principal, batch_id)
    if batch.closed_at is None:
        await _close(uow, batch_id)
        audit.record(uow, principal, "batch.close", target_type="batch", target_id=batch_id)
    return await get_batch(uow, principal, batch_id)


async def _close(uow: UnitOfWork, batch_id: uuid.UUID) -> None:
    await repository.lock(uow.session, batch_id)
    await repository.set_times(uow.session, batch_id, closed_at=utc_now())
    await settle(uow, batch_id)


async def close_idle(uow: UnitOfWork, *, idle_s: float = IDLE_S) -> int:
    """Close the batches that were left open, so that their end comes; returns how many."""
    left_open = await repository.left_open(uow.session, utc_now() - timedelta(seconds=idle_s), PAGE_LIMIT)
    for batch_id in sorted(left_open):
        await _close(uow, batch_id)
    return len(left_open)


async def reopen(uow: UnitOfWork, batch_id: uuid.UUID | None) -> None:
    """One of its jobs has been queued again: the batch is not done any more."""
    if batch_id is not None:
        await repository.lock(uow.session, batch_id)
        await repository.set_times(uow.session, batch_id, finished_at=None)


async def settle(uow: UnitOfWork, *batch_ids: uuid.UUID | None) -> None:
    """Jobs of these batches have ended in this transaction: whichever batch is done with that is finished, once.

    Call it when all jobs have been changed: a batch's row is always locked after those of its jobs.
    """
    for batch_id in sorted({batch_id for batch_id in batch_ids if batch_id is not None}):
        await repository.lock(uow.session, batch_id)
        if await repository.finish(uow.session, batch_id, utc_now()):
            await record_event(uow, EventType.BATCH_DONE, batch_id=batch_id, data=await _summary(uow, batch_id))


async def _summary(uow: UnitOfWork, batch_id: uuid.UUID) -> dict[str, int]:
    counts = await repository.count_states(uow.session, [batch_id], utc_now())
    by_state = {count.state: count.count for count in counts}
    return {state: by_state.get(state, 0) for state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)}


async def cancel_batch(store: Store, principal: Principal, batch_id: uuid.UUID) -> BatchDetailOut:
    """Close the batch and cancel all jobs of it that are not finished, in transactions of a bounded size."""
    async with store.writing() as uow:
        await close_batch(uow, principal, batch_id)
        audit.record(uow, principal, "batch.cancel", target_type="batch", target_id=batch_id)
    while True:
        async with store.writing() as uow:
            cancelled = await _cancel_some(uow, batch_id)
            if cancelled < _STEP:
                return await get_batch(uow, principal, batch_id)


async def _cancel_some(uow: UnitOfWork, batch_id: uuid.UUID) -> int:
    cancelled = await repository.cancel_jobs(uow.session, batch_id, utc_now(), _STEP)
    await record_job_events(uow, EventType.JOB_CANCELLED, cancelled)
    uow.changed_jobs.extend(cancelled)
    await settle(uow, batch_id)
    return len(cancelled)


async def retry_failed(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID) -> BatchDetailOut:
    """Queue again all failed jobs whose audio is kept or can still be fetched."""
    await check_own(uow, principal, batch_id)
    now = utc_now()
    requeued = await repository.requeue_failed(uow.session, batch_id, now)
    to_be_fetched = await repository.fetch_again(uow.session, batch_id, now)
    if requeued:
        await reopen(uow, batch_id)
        details = {"jobs": len(requeued)}
        audit.record(uow, principal, "batch.retry", target_type="batch", target_id=batch_id, details=details)
    ready = [job for job in requeued if job.id not in to_be_fetched]
    await fair_share.line_up_again(uow, ready)
    uow.wakeups.extend(Wakeup(job.id, job.attempt, bulk=True) for job in ready)
    uow.changed_jobs.extend(job.id for job in requeued)
    return await get_batch(uow, principal, batch_id)
