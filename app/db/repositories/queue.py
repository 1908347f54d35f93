"""Queries on the order of the queue. All of them are answered by an index, however many jobs wait."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Job
from app.domain.jobs import JobState, Lane

# One person or program: a job is submitted by a person, or by a program's key.
Owner = tuple[uuid.UUID | None, uuid.UUID | None]


def _queued(lanes: Collection[Lane]) -> ColumnElement[bool]:
    return and_(Job.state == JobState.QUEUED, Job.lane.in_(lanes))


def _of(owner: Owner) -> ColumnElement[bool]:
    user_id, api_key_id = owner
    # IS NOT DISTINCT FROM would use no index on PostgreSQL.
    user = Job.user_id.is_(None) if user_id is None else Job.user_id == user_id
    key = Job.api_key_id.is_(None) if api_key_id is None else Job.api_key_id == api_key_id
    return and_(user, key)


def _in_line(lane: Lane) -> ColumnElement[bool]:
    """May be taken by whoever is free. A job that a worker fell silent over is not: it is taken alone, by its name."""
    return and_(Job.state == JobState.QUEUED, Job.lane == lane, Job.turn.is_not(None), Job.losses == 0)


async def turns(session: AsyncSession, lane: Lane, owner: Owner) -> tuple[int | None, int | None]:
    """The first turn that anybody waits for, and the last one that this owner does."""
    first = select(Job.turn).where(_in_line(lane)).order_by(Job.turn, Job.id).limit(1)
    own = select(Job.turn).where(Job.state == JobState.QUEUED, Job.lane == lane, _of(owner), Job.turn.is_not(None))
    last = own.order_by(Job.turn.desc()).limit(1)
    row = (await session.execute(select(first.scalar_subquery(), last.scalar_subquery()))).one()
    return row[0], row[1]


async def next_in_line(session: AsyncSession, lane: Lane) -> uuid.UUID | None:
    """The job whose turn it is, held until the transaction ends; those that others are taking are passed over."""
    query = select(Job.id).where(_in_line(lane)).order_by(Job.turn, Job.id).limit(1)
    return await session.scalar(query.with_for_update(skip_locked=True, of=Job))


async def count_waiting(session: AsyncSession, lanes: Collection[Lane], owner: Owner | None = None) -> int:
    query = select(func.count()).select_from(Job).where(_queued(lanes))
    return await session.scalar(query if owner is None else query.where(_of(owner))) or 0


async def count_finished_since(session: AsyncSession, since: datetime) -> int:
    query = select(func.count()).select_from(Job)
    finished = (JobState.DONE, JobState.FAILED)
    return await session.scalar(query.where(Job.state.in_(finished), Job.finished_at >= since)) or 0
