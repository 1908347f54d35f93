"""Queries on reviews. Who claims an item, and who decides on it, is settled by the row: of two who try, one wins."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    UnaryExpression,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.db.models import Asset, Batch, Job, Review, ReviewDecision, ReviewSkip
from app.db.repositories.jobs import owned_by
from app.domain.jobs import JobState
from app.domain.permissions import Permission, Principal
from app.domain.reviews import WAITING_STATES, QueueOrder, QueueWish, ReviewState

_Column = InstrumentedAttribute[Any] | UnaryExpression[Any]

# Each is an index of the table.
_ORDERS: dict[QueueOrder, tuple[_Column, ...]] = {
    QueueOrder.LEAST_CERTAIN: (Review.probability, Review.id),
    QueueOrder.OLDEST: (Review.id,),
    QueueOrder.BATCH: (Review.batch_id, Review.probability, Review.id),
    QueueOrder.GENRE: (Review.genre, Review.probability, Review.id),
}


def reviewer_id_of(principal: Principal) -> uuid.UUID:
    """The user or the API key."""
    found = principal.user_id or principal.api_key_id
    assert found is not None
    return found


def visible_to(principal: Principal) -> ColumnElement[bool]:
    """As for jobs: all but those in other people's private batches."""
    if principal.may(Permission.BATCHES_SEE_PRIVATE):
        return true()
    hidden = select(Batch.id).where(Batch.private, owned_by(principal).is_not(true()))
    return or_(Review.batch_id.is_(None), Review.batch_id.not_in(hidden))


def _standing_of(reviewer_id: uuid.UUID) -> ColumnElement[bool]:
    """Has this person decided on the review, and not taken it back?"""
    return exists().where(
        ReviewDecision.review_id == Review.id,
        ReviewDecision.reviewer_id == reviewer_id,
        ReviewDecision.withdrawn_at.is_(None),
    )


def _skipped_by(reviewer_id: uuid.UUID) -> ColumnElement[bool]:
    return exists().where(ReviewSkip.review_id == Review.id, ReviewSkip.reviewer_id == reviewer_id)


def _limited(query: Select[Any], wish: QueueWish) -> Select[Any]:
    if wish.genre is not None:
        query = query.where(Review.genre == wish.genre)
    return query.where(Review.batch_id == wish.batch_id) if wish.batch_id is not None else query


# --- the queue


async def find_free(
    session: AsyncSession, principal: Principal, state: ReviewState, wish: QueueWish, *, now: datetime
) -> Review | None:
    """The first item in this state that nobody has and that this person may decide on, locked where the server can."""
    me = reviewer_id_of(principal)
    free = or_(Review.lease_until.is_(None), Review.lease_until < now)
    query = _limited(select(Review).where(Review.state == state, free, visible_to(principal)), wish)
    query = query.where(~_skipped_by(me))
    if state is ReviewState.OPEN or not principal.may(Permission.REVIEWS_ARBITRATE):
        query = query.where(~Review.decided_by.contains(me.hex), ~_standing_of(me))
    query = query.order_by(*_ORDERS[wish.order]).limit(1)
    query = query.with_for_update(of=Review, skip_locked=True).execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def find_held(
    session: AsyncSession, principal: Principal, wish: QueueWish, *, now: datetime, limit: int
) -> Sequence[Review]:
    """What lies before this person already, the longest held first."""
    query = select(Review).where(
        Review.claimed_by == reviewer_id_of(principal), Review.lease_until >= now, Review.state.in_(WAITING_STATES)
    )
    query = _limited(query, wish).order_by(Review.claimed_at).limit(limit)
    query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).all()


async def lock(session: AsyncSession, principal: Principal, review_id: uuid.UUID) -> Review | None:
    query = select(Review).where(Review.id == review_id, visible_to(principal))
    query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def get(session: AsyncSession, principal: Principal, review_id: uuid.UUID) -> Review | None:
    query = select(Review).where(Review.id == review_id, visible_to(principal))
    return (await session.scalars(query)).one_or_none()


async def lock_of_job(session: AsyncSession, job_id: uuid.UUID) -> Review | None:
    query = select(Review).where(Review.job_id == job_id).with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def find_page(
    session: AsyncSession, principal: Principal, *, state: ReviewState | None, before: uuid.UUID | None, limit: int
) -> Sequence[Review]:
    """Newest first, older than the review ``before``."""
    query = select(Review).where(visible_to(principal)).order_by(Review.id.desc()).limit(limit)
    if state is not None:
        query = query.where(Review.state == state)
    if before is not None:
        query = query.where(Review.id < before)
    return (await session.scalars(query)).all()


async def renew(
    session: AsyncSession, reviewer_id: uuid.UUID, review_id: uuid.UUID, *, now: datetime, lease_until: datetime
) -> bool:
    """Extend what this person has; this item even if its lease has run out, as long as nobody else has taken it."""
    statement = (
        update(Review)
        .where(Review.claimed_by == reviewer_id, Review.state.in_(WAITING_STATES))
        .where(or_(Review.id == review_id, Review.lease_until >= now))
        .values(lease_until=lease_until)
        .returning(Review.id)
    )
    rows = await session.scalars(statement, execution_options={"synchronize_session": False})
    return review_id in set(rows.all())


async def release(session: AsyncSession, reviewer_id: uuid.UUID, *which: ColumnElement[bool]) -> int:
    """Give back what this person has, as far as it is ``which``; returns how much that was."""
    nobody = {"claimed_by": None, "claimed_at": None, "lease_id": None, "lease_until": None}
    statement = update(Review).where(Review.claimed_by == reviewer_id, *which).values(**nobody)
    options = {"synchronize_session": False}
    return cast("CursorResult[Any]", await session.execute(statement, execution_options=options)).rowcount


def with_lease(lease_ids: Sequence[uuid.UUID]) -> ColumnElement[bool]:
    return Review.lease_id.in_(lease_ids)


def with_id(review_id: uuid.UUID) -> ColumnElement[bool]:
    return Review.id == review_id


async def count_waiting(session: AsyncSession, wish: QueueWish, *, limit: int) -> int:
    """How many wait, leased ones too; stops counting at ``limit``."""
    some = _limited(select(Review.id).where(Review.state.in_(WAITING_STATES)), wish).limit(limit).subquery()
    return await session.scalar(select(func.count()).select_from(some)) or 0


async def count_waiting_by_genre(session: AsyncSession, genres: Sequence[str], *, limit: int) -> list[int]:
    """In the order of the genres, in one query; each count stops at ``limit``."""
    counts = []
    for genre in genres:
        some = select(Review.id).where(Review.state.in_(WAITING_STATES), Review.genre == genre).limit(limit).subquery()
        counts.append(select(func.count()).select_from(some).scalar_subquery())
    return list((await session.execute(select(*counts))).one())


async def count_disputed(session: AsyncSession, principal: Principal, *, limit: int) -> int:
    query = select(Review.id).where(Review.state == ReviewState.DISPUTED, visible_to(principal)).limit(limit)
    return await session.scalar(select(func.count()).select_from(query.subquery())) or 0


async def waiting_batches(
    session: AsyncSession, principal: Principal, *, among: int
) -> Sequence[tuple[uuid.UUID, str]]:
    """Of the latest batches, those in which something waits."""
    seen = select(Batch.id, Batch.name)
    if not principal.may(Permission.BATCHES_SEE_PRIVATE):
        seen = seen.where(or_(~Batch.private, owned_by(principal)))
    latest = seen.order_by(Batch.id.desc()).limit(among).subquery()
    waits = exists().where(Review.state.in_(WAITING_STATES), Review.batch_id == latest.c.id)
    rows = await session.execute(select(latest.c.id, latest.c.name).where(waits).order_by(latest.c.id.desc()))
    return [(row[0], row[1]) for row in rows]


# --- skips


async def add_skip(session: AsyncSession, review_id: uuid.UUID, reviewer_id: uuid.UUID) -> None:
    await session.merge(ReviewSkip(review_id=review_id, reviewer_id=reviewer_id))


async def count_skipped(session: AsyncSession, reviewer_id: uuid.UUID) -> int:
    """What this person has passed over and what waits still."""
    query = select(func.count()).select_from(ReviewSkip).join(Review, Review.id == ReviewSkip.review_id)
    waiting = (ReviewSkip.reviewer_id == reviewer_id, Review.state.in_(WAITING_STATES))
    return await session.scalar(query.where(*waiting, ~_standing_of(reviewer_id))) or 0


async def forget_skips(session: AsyncSession, reviewer_id: uuid.UUID) -> None:
    await session.execute(delete(ReviewSkip).where(ReviewSkip.reviewer_id == reviewer_id))


# --- decisions


async def decisions_of(session: AsyncSession, review_ids: Sequence[uuid.UUID]) -> Sequence[ReviewDecision]:
    """All of them, withdrawn ones too, oldest first."""
    if not review_ids:
        return []
    query = select(ReviewDecision).where(ReviewDecision.review_id.in_(review_ids)).order_by(ReviewDecision.id)
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def last_decision_of(session: AsyncSession, reviewer_id: uuid.UUID, *, since: datetime) -> ReviewDecision | None:
    """The latest that this person has not taken back."""
    query = select(ReviewDecision).where(
        ReviewDecision.reviewer_id == reviewer_id,
        ReviewDecision.withdrawn_at.is_(None),
        ReviewDecision.created_at >= since,
    )
    return (await session.scalars(query.order_by(ReviewDecision.id.desc()).limit(1))).one_or_none()


def names_of(reviewer_ids: Iterable[uuid.UUID]) -> str:
    """As they are kept in ``decided_by``."""
    return " ".join(reviewer_id.hex for reviewer_id in reviewer_ids)


async def withdraw_all(session: AsyncSession, review_id: uuid.UUID, now: datetime) -> None:
    standing = (ReviewDecision.review_id == review_id, ReviewDecision.withdrawn_at.is_(None))
    await session.execute(update(ReviewDecision).where(*standing).values(withdrawn_at=now))


async def set_label(session: AsyncSession, job_id: uuid.UUID, label: str | None) -> None:
    await session.execute(update(Job).where(Job.id == job_id).values(label=label))


async def recently_decided(session: AsyncSession, principal: Principal, limit: int) -> Sequence[Review]:
    query = select(Review).where(Review.state == ReviewState.DECIDED, visible_to(principal))
    return (await session.scalars(query.order_by(Review.decided_at.desc()).limit(limit))).all()


# --- jobs of reviews


async def done_jobs(session: AsyncSession, visible: ColumnElement[bool], job_ids: Sequence[uuid.UUID]) -> Sequence[Job]:
    query = select(Job).where(Job.id.in_(job_ids), Job.state == JobState.DONE, Job.genre.is_not(None), visible)
    return (await session.scalars(query)).unique().all()


async def names_of_jobs(session: AsyncSession, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The title of each, or the name of its file."""
    name = func.coalesce(Asset.title, Asset.name)
    query = select(Job.id, name).join(Asset, Asset.id == Job.asset_id).where(Job.id.in_(job_ids))
    return {row[0]: row[1] for row in await session.execute(query)}
