"""Queries behind reports: pages in the order of submission, so that a report of any length needs the memory of one page."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Asset, Job, Review, ReviewDecision
from app.db.repositories.jobs import JobFilter, matching
from app.domain.permissions import Principal


async def rows(
    session: AsyncSession, principal: Principal, wanted: JobFilter, *, after: uuid.UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """What a table says of each job. The windows of a result, which may be thousands, stay in the database."""
    query = matching(principal, wanted).with_only_columns(
        Job.id,
        Job.state,
        Job.genre,
        Job.probability,
        Job.tier,
        Job.label,
        Job.error,
        Job.finished_at,
        Job.result["probabilities"].label("probabilities"),
        Job.result["timings_ms"].label("timings_ms"),
        Asset.name,
        Asset.title,
        Asset.artist,
    )
    query = query.where(Job.id > after) if after is not None else query
    return (await session.execute(query.order_by(Job.id).limit(limit))).all()


async def jobs(
    session: AsyncSession, principal: Principal, wanted: JobFilter, *, after: uuid.UUID | None, limit: int
) -> Sequence[Job]:
    """Whole jobs, with all windows of their results."""
    query = matching(principal, wanted)
    query = query.where(Job.id > after) if after is not None else query
    return (await session.scalars(query.order_by(Job.id).limit(limit))).unique().all()


async def reviewers(session: AsyncSession, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """Who has decided on these jobs, first to last."""
    query = (
        select(Review.job_id, ReviewDecision.reviewer)
        .join(ReviewDecision, ReviewDecision.review_id == Review.id)
        .where(Review.job_id.in_(job_ids), ReviewDecision.withdrawn_at.is_(None))
        .order_by(ReviewDecision.id)
    )
    names: dict[uuid.UUID, list[str]] = defaultdict(list)
    for job_id, name in await session.execute(query):
        if name not in names[job_id]:
            names[job_id].append(name)
    return names
