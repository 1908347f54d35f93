"""What the figures of reviewing are counted from. Each query reads a bounded number of rows, or an index only."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Integer, cast, extract, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Review, ReviewDecision
from app.domain.reviews import WAITING_STATES, ReviewState

_HOUR_S = 3600


async def waiting_counts(session: AsyncSession) -> dict[ReviewState, int]:
    query = select(Review.state, func.count()).where(Review.state.in_(WAITING_STATES)).group_by(Review.state)
    return {row[0]: row[1] for row in await session.execute(query)}


async def waiting_since(session: AsyncSession, *, behind: int) -> datetime | None:
    """Since when the open item waits that has ``behind`` older ones before it."""
    query = select(Review.created_at).where(Review.state == ReviewState.OPEN)
    return await session.scalar(query.order_by(Review.id).offset(behind).limit(1))


async def decisions_by_hour(session: AsyncSession, since: datetime) -> dict[int, int]:
    """Decisions that still stand, by the hour since 1970."""
    hour = cast(func.floor(extract("epoch", ReviewDecision.created_at) / _HOUR_S), Integer).label("hour")
    query = select(hour, func.count()).where(ReviewDecision.created_at >= since, ReviewDecision.withdrawn_at.is_(None))
    return {row[0]: row[1] for row in await session.execute(query.group_by(hour))}


async def latest_decided(session: AsyncSession, limit: int) -> Sequence[tuple[str, float, str | None]]:
    """Proposed genre, its probability, and the label, of what was decided last."""
    query = select(Review.genre, Review.probability, Review.label).where(Review.state == ReviewState.DECIDED)
    rows = await session.execute(query.order_by(Review.decided_at.desc()).limit(limit))
    return [(row[0], row[1], row[2]) for row in rows]


async def latest_independent(
    session: AsyncSession, limit: int
) -> Sequence[tuple[uuid.UUID, uuid.UUID, str, str | None]]:
    """Review, reviewer, name and genre of the decisions on items that several people judged by themselves."""
    standing = (ReviewDecision.withdrawn_at.is_(None), ReviewDecision.arbitration.is_(False))
    latest = select(ReviewDecision.review_id).where(*standing).order_by(ReviewDecision.created_at.desc()).limit(limit)
    among = latest.subquery()
    several = (
        select(ReviewDecision.review_id)
        .where(ReviewDecision.review_id.in_(select(among.c.review_id)), *standing)
        .group_by(ReviewDecision.review_id)
        .having(func.count() > 1)
        .subquery()
    )
    query = (
        select(ReviewDecision.review_id, ReviewDecision.reviewer_id, ReviewDecision.reviewer, ReviewDecision.genre)
        .join(several, several.c.review_id == ReviewDecision.review_id)
        .where(*standing)
    )
    return [(row[0], row[1], row[2], row[3]) for row in await session.execute(query)]
