"""Queries for those who watch over an installation. Each looks at what waits or at a few minutes, never at all there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Job, WebhookAttempt, WebhookDelivery, WebhookEndpoint, Worker
from app.domain.ids import first_id_of
from app.domain.jobs import CANCELLABLE_STATES, FINAL_STATES, AnalysisScope, JobKind, JobState
from app.domain.webhooks import DeliveryState
from app.domain.workers import WorkerState


@dataclass(frozen=True, slots=True)
class Pending:
    """Jobs that are not finished. ``since``: when the first of those came that nobody has begun with."""

    kind: JobKind
    state: JobState
    bulk: bool
    jobs: int
    since: datetime | None


async def pending_jobs(session: AsyncSession) -> list[Pending]:
    bulk = or_(Job.batch_id.is_not(None), Job.scope == AnalysisScope.FULL)
    fresh = case((Job.attempt == 0, Job.created_at))
    query = (
        select(Job.kind, Job.state, bulk, func.count(), func.min(fresh))
        .where(Job.state.in_(CANCELLABLE_STATES))
        .group_by(Job.kind, Job.state, bulk)
    )
    return [Pending(kind, state, bool(is_bulk), *rest) for kind, state, is_bulk, *rest in await session.execute(query)]


@dataclass(frozen=True, slots=True)
class Finished:
    """``reason``: the code of the failure, of failed jobs."""

    kind: JobKind
    state: JobState
    reason: str | None
    jobs: int


async def finished_jobs(session: AsyncSession, since: datetime) -> list[Finished]:
    reason = Job.error["code"].as_string()
    query = (
        select(Job.kind, Job.state, reason, func.count())
        .where(Job.state.in_(FINAL_STATES), Job.finished_at >= since)
        .group_by(Job.kind, Job.state, reason)
    )
    return [Finished(*row) for row in await session.execute(query)]


async def spans_of_done_jobs(session: AsyncSession, since: datetime, limit: int) -> Sequence[tuple[datetime, datetime]]:
    """Of the single uploads that were analysed last: when each came and when it was done."""
    query = (
        select(Job.created_at, Job.finished_at)
        .where(Job.state == JobState.DONE, Job.finished_at >= since, Job.attempt == 1, ~Job.deduplicated)
        .where(Job.batch_id.is_(None), Job.scope == AnalysisScope.START)
        .order_by(Job.finished_at.desc())
        .limit(limit)
    )
    return [(created, finished) for created, finished in await session.execute(query) if finished is not None]


async def last_done_at(session: AsyncSession) -> datetime | None:
    query = select(Job.finished_at).where(Job.state == JobState.DONE, Job.finished_at.is_not(None))
    return await session.scalar(query.order_by(Job.finished_at.desc()).limit(1))


async def count_workers(session: AsyncSession, alive_since: datetime) -> dict[WorkerState, int]:
    query = select(Worker.state, func.count()).where(Worker.seen_at > alive_since).group_by(Worker.state)
    return {state: count for state, count in await session.execute(query)}  # noqa: C416  a row is no pair to mypy


async def due_deliveries(session: AsyncSession, now: datetime) -> tuple[int, datetime | None]:
    """Deliveries that should have been sent by now, and since when the first of them should."""
    query = (
        select(func.count(), func.min(WebhookDelivery.due_at))
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(WebhookEndpoint.disabled_at.is_(None))
        .where(WebhookDelivery.state == DeliveryState.PENDING, WebhookDelivery.due_at <= now)
    )
    count, since = (await session.execute(query)).one()
    return count, since


async def webhook_attempts(session: AsyncSession, since: datetime) -> tuple[int, int]:
    """Attempts to deliver since then: that were accepted, and that were not."""
    accepted = case((WebhookAttempt.status.between(200, 299), 1), else_=0)
    query = select(func.count(), func.coalesce(func.sum(accepted), 0)).where(WebhookAttempt.id >= first_id_of(since))
    count, good = (await session.execute(query)).one()
    return good, count - good
