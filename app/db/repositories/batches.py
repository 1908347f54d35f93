"""Queries on batches.

Whatever finishes a job or adds one holds the batch's row until its transaction ends, after the job's: of two transactions
that finish the last two jobs, the second sees the first, and nobody waits in a circle.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, case, exists, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Asset, Batch, Job, Review, Source
from app.db.repositories.jobs import owned_by
from app.domain.genres import Tier
from app.domain.jobs import CANCELLABLE_STATES, AnalysisScope, JobState
from app.domain.permissions import Permission, Principal
from app.domain.reviews import WAITING_STATES


def _visible(principal: Principal) -> ColumnElement[bool]:
    if principal.may(Permission.BATCHES_SEE_PRIVATE):
        return true()
    return or_(Batch.private.is_(False), owned_by(principal))


async def get_visible(session: AsyncSession, principal: Principal, batch_id: uuid.UUID) -> Batch | None:
    query = select(Batch).where(Batch.id == batch_id, _visible(principal)).execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def find(session: AsyncSession, principal: Principal, *, before: uuid.UUID | None, limit: int) -> Sequence[Batch]:
    """Newest first, older than the batch ``before``."""
    query = select(Batch).where(_visible(principal)).order_by(Batch.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Batch.id < before)
    return (await session.scalars(query)).all()


async def is_own(session: AsyncSession, principal: Principal, batch_id: uuid.UUID) -> bool:
    return bool(await session.scalar(select(exists().where(Batch.id == batch_id, owned_by(principal)))))


# --- its end


async def lock(session: AsyncSession, batch_id: uuid.UUID) -> bool:
    """Hold the row until the transaction ends; is the batch closed?"""
    query = select(Batch.closed_at).where(Batch.id == batch_id).with_for_update(key_share=True)
    return await session.scalar(query) is not None


def _pending(batch_id: Any) -> ColumnElement[bool]:
    return exists().where(Job.batch_id == batch_id, Job.state.in_(CANCELLABLE_STATES))


async def finish(session: AsyncSession, batch_id: uuid.UUID, now: datetime) -> bool:
    """Finish a locked batch if it is closed and none of its jobs is pending; did it happen?"""
    statement = (
        update(Batch)
        .where(Batch.id == batch_id, Batch.closed_at.is_not(None), Batch.finished_at.is_(None), ~_pending(batch_id))
        .values(finished_at=now)
    )
    result = cast("CursorResult[Any]", await session.execute(statement, execution_options=_UNSYNCHRONISED))
    return result.rowcount == 1


async def set_times(session: AsyncSession, batch_id: uuid.UUID, **times: datetime | None) -> None:
    """``closed_at`` and ``finished_at``."""
    statement = update(Batch).where(Batch.id == batch_id).values(**times)
    await session.execute(statement, execution_options=_UNSYNCHRONISED)


async def left_open(session: AsyncSession, before: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Open batches to which nothing has happened since."""
    lately = or_(Job.state.in_(CANCELLABLE_STATES), Job.created_at >= before, Job.finished_at >= before)
    query = (
        select(Batch.id)
        .where(Batch.closed_at.is_(None), Batch.created_at < before, ~exists().where(Job.batch_id == Batch.id, lately))
        .limit(limit)
    )
    return (await session.scalars(query)).all()


_UNSYNCHRONISED = {"synchronize_session": False}


# --- all its jobs at once


async def cancel_jobs(session: AsyncSession, batch_id: uuid.UUID, now: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Cancel up to ``limit`` jobs that are not finished; returns which."""
    some = select(Job.id).where(Job.batch_id == batch_id, Job.state.in_(CANCELLABLE_STATES)).limit(limit)
    statement = (
        update(Job)
        .where(Job.id.in_(some), Job.state.in_(CANCELLABLE_STATES))
        .values(state=JobState.CANCELLED, finished_at=now, lease_until=None, worker_id=None)
        .returning(Job.id)
    )
    return (await session.scalars(statement, execution_options=_UNSYNCHRONISED)).all()


@dataclass(frozen=True, slots=True)
class Requeued:
    """What the queue has to know of a job."""

    id: uuid.UUID
    attempt: int
    scope: AnalysisScope
    batch_id: uuid.UUID | None
    user_id: uuid.UUID | None
    api_key_id: uuid.UUID | None


async def requeue_failed(session: AsyncSession, batch_id: uuid.UUID, now: datetime) -> list[Requeued]:
    """Queue again the failed jobs whose audio is kept or can still be fetched; they have no turn yet."""
    kept = exists().where(Asset.id == Job.asset_id, Asset.storage_key.is_not(None))
    to_be_fetched = exists().where(Source.job_id == Job.id)
    statement = (
        update(Job)
        .where(Job.batch_id == batch_id, Job.state == JobState.FAILED, or_(kept, to_be_fetched))
        .values(state=JobState.QUEUED, losses=0, rung_at=now)
        .values(dict.fromkeys(("turn", "finished_at", "started_at", "error", "progress")))
        .returning(Job.id, Job.attempt, Job.scope, Job.batch_id, Job.user_id, Job.api_key_id)
    )
    rows = await session.execute(statement, execution_options=_UNSYNCHRONISED)
    return sorted((Requeued(*row) for row in rows), key=lambda job: job.id)


async def fetch_again(session: AsyncSession, batch_id: uuid.UUID, now: datetime) -> set[uuid.UUID]:
    """Recordings of queued jobs that nobody tries to fetch any more are fetched from now on; returns the jobs."""
    queued = select(Job.id).where(Job.batch_id == batch_id, Job.state == JobState.QUEUED)
    statement = (
        update(Source)
        .where(Source.job_id.in_(queued), Source.due_at.is_(None))
        .values(due_at=now, attempt=0)
        .returning(Source.job_id)
    )
    return set((await session.scalars(statement, execution_options=_UNSYNCHRONISED)).all())


# --- figures


@dataclass(frozen=True, slots=True)
class StateCount:
    """Jobs of a batch in one state. ``lately``: finished since the moment asked for; ``started_at``: the first of them."""

    batch_id: uuid.UUID
    state: JobState
    count: int
    lately: int
    started_at: datetime | None


async def count_states(session: AsyncSession, batch_ids: Sequence[uuid.UUID], since: datetime) -> Sequence[StateCount]:
    lately = func.sum(case((Job.finished_at >= since, 1), else_=0))
    query = (
        select(Job.batch_id, Job.state, func.count(), lately, func.min(Job.started_at))
        .where(Job.batch_id.in_(batch_ids))
        .group_by(Job.batch_id, Job.state)
    )
    return [StateCount(*row) for row in await session.execute(query)]


async def count_genres(session: AsyncSession, batch_id: uuid.UUID) -> Sequence[tuple[str, Tier, int]]:
    query = (
        select(Job.genre, Job.tier, func.count())
        .where(Job.batch_id == batch_id, Job.state == JobState.DONE)
        .group_by(Job.genre, Job.tier)
    )
    return [(genre, tier, count) for genre, tier, count in await session.execute(query) if genre and tier]


async def count_failures(session: AsyncSession, batch_id: uuid.UUID) -> Sequence[tuple[str, int]]:
    code = Job.error["code"].as_string()
    query = select(code, func.count()).where(Job.batch_id == batch_id, Job.state == JobState.FAILED).group_by(code)
    return [(code, count) for code, count in await session.execute(query)]


async def count_reviews(session: AsyncSession, batch_id: uuid.UUID) -> int:
    query = select(func.count()).select_from(Review).join(Job, Job.id == Review.job_id).where(Job.batch_id == batch_id)
    return await session.scalar(query.where(Review.state.in_(WAITING_STATES))) or 0
