"""Counting for the dashboard. Everything is bounded: by a day, or by so many of the last results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Job, Review
from app.db.repositories.library import first_id_of
from app.domain.jobs import CANCELLABLE_STATES, JobState
from app.domain.reviews import WAITING_STATES


async def count_added(session: AsyncSession, since: datetime) -> int:
    return await session.scalar(select(func.count()).where(Job.id >= first_id_of(since))) or 0


async def count_unfinished(session: AsyncSession) -> dict[JobState, int]:
    query = select(Job.state, func.count()).where(Job.state.in_(CANCELLABLE_STATES)).group_by(Job.state)
    return {state: count for state, count in await session.execute(query)}  # noqa: C416  rows are no pairs to mypy


async def count_waiting_reviews(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).where(Review.state.in_(WAITING_STATES))) or 0


async def count_finished(
    session: AsyncSession, state: JobState, periods: Sequence[tuple[datetime, datetime]]
) -> list[int]:
    """How many jobs ended in this state, from the first moment of each period to before its last."""
    counts = [
        select(func.count())
        .where(Job.state == state, Job.finished_at >= begin, Job.finished_at < end)
        .scalar_subquery()
        .label(f"period_{place}")
        for place, (begin, end) in enumerate(periods)
    ]
    return list((await session.execute(select(*counts))).one())


async def last_results(session: AsyncSession, limit: int) -> Sequence[Row[datetime, datetime | None, bool]]:
    """Times of the last results, and whether a person was to look at them."""
    query = (
        select(Job.created_at, Job.finished_at, exists().where(Review.job_id == Job.id).label("reviewed"))
        .where(Job.state == JobState.DONE)
        .order_by(Job.finished_at.desc())
        .limit(limit)
    )
    return (await session.execute(query)).all()


async def last_failures(session: AsyncSession, since: datetime, limit: int) -> Sequence[dict[str, Any]]:
    """What the jobs that failed lately failed of."""
    query = (
        select(Job.error)
        .where(Job.state == JobState.FAILED, Job.finished_at >= since)
        .order_by(Job.finished_at.desc())
        .limit(limit)
    )
    return [error for error in await session.scalars(query) if error]
