"""Queries on jobs. The state changes are conditional updates: of two who try, one wins, on every database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import JSON, ColumnElement, CursorResult, Select, and_, delete, exists, false, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import defer
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.db.models import ApiKey, Asset, Batch, Job, Review, Source, User
from app.db.repositories.search import named, rarest
from app.domain.genres import Tier
from app.domain.jobs import AnalysisScope, JobState
from app.domain.permissions import Permission, Principal
from app.domain.reviews import WAITING_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """What a list is limited to; None means no limit."""

    state: JobState | None = None
    genre: str | None = None
    tier: Tier | None = None
    text: str | None = None
    needs_review: bool | None = None
    batch_id: uuid.UUID | None = None
    job_ids: frozenset[uuid.UUID] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def owned_by(principal: Principal) -> ColumnElement[bool]:
    """Batches of this program, or of this person and the keys they have given."""
    if principal.user_id is not None:
        keys = select(ApiKey.id).where(ApiKey.user_id == principal.user_id)
        return or_(Batch.user_id == principal.user_id, Batch.api_key_id.in_(keys))
    return Batch.api_key_id == principal.api_key_id if principal.api_key_id is not None else false()


def visible_to(principal: Principal) -> ColumnElement[bool]:
    """Jobs that the caller may see: all but those in other people's private batches. Part of every query for a caller."""
    if principal.may(Permission.BATCHES_SEE_PRIVATE):
        return true()
    hidden = select(Batch.id).where(Batch.private, owned_by(principal).is_not(true()))
    return or_(Job.batch_id.is_(None), Job.batch_id.not_in(hidden))


async def get(session: AsyncSession, job_id: uuid.UUID) -> Job | None:
    return await session.get(Job, job_id, populate_existing=True)


async def get_many_visible(session: AsyncSession, principal: Principal, job_ids: Sequence[uuid.UUID]) -> Sequence[Job]:
    return (await session.scalars(select(Job).where(Job.id.in_(job_ids), visible_to(principal)))).unique().all()


async def get_visible(session: AsyncSession, principal: Principal, job_id: uuid.UUID) -> Job | None:
    query = select(Job).where(Job.id == job_id, visible_to(principal)).execution_options(populate_existing=True)
    return (await session.scalars(query)).unique().one_or_none()


def matching(principal: Principal, wanted: JobFilter) -> Select[Job]:
    """The jobs that a filter asks for, as far as the caller may see them."""
    query = select(Job).join(Job.asset).where(visible_to(principal))
    equal = {Job.state: wanted.state, Job.genre: wanted.genre, Job.tier: wanted.tier, Job.batch_id: wanted.batch_id}
    query = query.where(*(column == value for column, value in equal.items() if value is not None))
    if wanted.text:
        parts = named(wanted.text)
        query = query.where(*(part.holds for part in parts)) if parts else query.where(false())
    if wanted.needs_review is not None:
        waiting = Job.review.has(Review.state.in_(WAITING_STATES))
        query = query.where(waiting if wanted.needs_review else ~waiting)
    if wanted.job_ids is not None:
        query = query.where(Job.id.in_(wanted.job_ids))
    if wanted.created_after is not None:
        query = query.where(Job.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        query = query.where(Job.created_at < wanted.created_before)
    return query


class _Windowless(FunctionElement[dict[str, Any] | None]):
    """A result with no windows in it, so that they need not leave the database."""

    type = JSON(none_as_null=True)
    inherit_cache = True


@compiles(_Windowless)
def _windowless(element: _Windowless, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_set({compiler.process(element.clauses, **options)}, '$.windows', json('[]'))"


@compiles(_Windowless, "postgresql")
def _windowless_in_postgresql(element: _Windowless, compiler: SQLCompiler, **options: Any) -> str:
    return f"jsonb_set(CAST({compiler.process(element.clauses, **options)} AS jsonb), '{{windows}}', '[]')"


async def find(
    session: AsyncSession, principal: Principal, wanted: JobFilter, *, before: uuid.UUID | None, limit: int
) -> Sequence[Job]:
    """Newest first, older than the job ``before``; their results without windows, which may be thousands."""
    query = matching(principal, wanted).order_by(Job.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Job.id < before)
    rare = await rarest(session, named(wanted.text or ""))
    if rare is not None:
        query = query.where(rare.among_few())
    rows = await session.execute(query.options(defer(Job.result)).add_columns(_Windowless(Job.result)))
    found = []
    for job, result in rows:
        set_committed_value(job, "result", result)
        found.append(job)
    return found


async def change_state(
    session: AsyncSession,
    job_id: uuid.UUID,
    allowed: Sequence[JobState],
    *conditions: Any,
    **values: Any,
) -> bool:
    """Update the job if it is still in one of the allowed states (and the conditions hold); did it happen?"""
    statement = update(Job).where(Job.id == job_id, Job.state.in_(allowed), *conditions).values(**values)
    result = cast(
        "CursorResult[Any]", await session.execute(statement, execution_options={"synchronize_session": False})
    )
    return result.rowcount == 1


async def renew_leases(
    session: AsyncSession, worker_id: uuid.UUID, job_ids: Sequence[uuid.UUID], lease_until: datetime
) -> set[uuid.UUID]:
    """Extend the leases of a worker's jobs; returns those that are still the worker's."""
    statement = (
        update(Job)
        .where(Job.id.in_(job_ids), Job.worker_id == worker_id, Job.state == JobState.RUNNING)
        .values(lease_until=lease_until)
        .returning(Job.id)
    )
    rows = await session.scalars(statement, execution_options={"synchronize_session": False})
    return set(rows.all())


async def with_expired_lease(session: AsyncSession, now: datetime, limit: int) -> Sequence[Job]:
    query = select(Job).where(Job.state == JobState.RUNNING, Job.lease_until < now).limit(limit)
    return (await session.scalars(query)).unique().all()


async def queued_and_unheard(session: AsyncSession, rung_before: datetime, limit: int) -> Sequence[Job]:
    """Queued jobs for which nobody has rung lately: the doorbell may have been lost.

    First those that somebody waits for, then those unheard for longest: behind thousands of jobs in batches nobody is forgotten.
    Not those whose recording is still to be fetched.
    """
    to_be_fetched = exists().where(Source.job_id == Job.id)
    waiting = select(Job).where(Job.state == JobState.QUEUED, Job.rung_at < rung_before, ~to_be_fetched)
    urgent = and_(Job.batch_id.is_(None), Job.scope == AnalysisScope.START)
    query = waiting.order_by(urgent.desc(), Job.rung_at, Job.id).limit(limit)
    return (await session.scalars(query)).unique().all()


async def mark_rung(session: AsyncSession, job_ids: Sequence[uuid.UUID], now: datetime) -> None:
    statement = update(Job).where(Job.id.in_(job_ids)).values(rung_at=now)
    await session.execute(statement, execution_options={"synchronize_session": False})


async def remove(session: AsyncSession, job: Job) -> None:
    await session.execute(delete(Job).where(Job.id == job.id))
    await session.execute(delete(Asset).where(Asset.id == job.asset_id))


async def submitter_names(session: AsyncSession, jobs: Sequence[Job] | Sequence[Batch]) -> dict[uuid.UUID, str]:
    """Names by the id of the user or API key that submitted the jobs or batches."""
    names: dict[uuid.UUID, str] = {}
    for table, ids in (
        (User, {job.user_id for job in jobs if job.user_id}),
        (ApiKey, {job.api_key_id for job in jobs if job.api_key_id}),
    ):
        if ids:
            rows = await session.execute(select(table.id, table.name).where(table.id.in_(ids)))
            names.update({row.id: row.name for row in rows})
    return names
