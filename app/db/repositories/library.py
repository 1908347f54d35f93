"""Finding recordings among very many.

Databases guess badly which of several conditions is the rare one, so it is counted here, up to a limit. If one is rare, its
few recordings are looked up by its index and sorted. If all are common, the recordings are walked through in the wanted order,
along an index that holds all that the conditions need, until the page is full. Either way the work does not grow with the library.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, literal, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.db.models import ApiKey, Asset, Batch, Job, Review, User
from app.db.repositories.jobs import visible_to
from app.db.repositories.search import Condition, named, rarest
from app.domain.genres import HIGH_ABOVE, LOW_BELOW, Tier
from app.domain.library import LibraryCursor, LibraryFilter, LibraryOrder, ReviewStatus
from app.domain.permissions import Principal
from app.domain.reviews import WAITING_STATES, ReviewState


def _unindexed(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The column in a form that no index is used for: SQLite would prefer the index of a common value to the walk."""
    return func.coalesce(column, None)


def _equals(column: InstrumentedAttribute[Any], value: object) -> Condition:
    return Condition(Job.id, select(Job.id).where(column == value), _unindexed(column) == value)


def _genre(genre: str, tier: Tier | None) -> Condition:
    """Both in one, because together they are rare more often than each by itself."""
    decided, proposed = [Job.label == genre], [Job.genre == genre, Job.label.is_(None)]
    holds = func.coalesce(Job.label, Job.genre) == genre
    if tier is not None:
        decided.append(Job.tier == tier)
        proposed.append(Job.tier == tier)
        holds = and_(holds, _unindexed(Job.tier) == tier)
    found = union_all(select(Job.id).where(*decided), select(Job.id).where(*proposed)).subquery()
    return Condition(Job.id, select(found.c.id), holds)


def _review(status: ReviewStatus) -> Condition:
    states = [ReviewState.DECIDED] if status is ReviewStatus.DECIDED else WAITING_STATES
    has_review = exists().where(Review.job_id == Job.id)
    if status is ReviewStatus.NONE:
        return Condition(Job.id, select(Job.id).where(~has_review), ~has_review)
    found = select(Review.job_id).where(Review.state.in_(states))
    return Condition(Job.id, found, exists().where(Review.job_id == Job.id, Review.state.in_(states)))


def _conditions(wanted: LibraryFilter) -> list[Condition]:
    equal = {
        Job.tier: wanted.tier if wanted.genre is None else None,
        Job.state: wanted.state,
        Job.batch_id: wanted.batch_id,
        Job.user_id: wanted.user_id,
        Job.api_key_id: wanted.api_key_id,
    }
    conditions = [_equals(column, value) for column, value in equal.items() if value is not None]
    if wanted.genre is not None:
        conditions.append(_genre(wanted.genre, wanted.tier))
    if wanted.review is not None:
        conditions.append(_review(wanted.review))
    return conditions + named(wanted.text)


# --- time: ids begin with the millisecond of their making


def first_id_of(moment: datetime) -> uuid.UUID:
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def _within(wanted: LibraryFilter) -> list[ColumnElement[bool]]:
    bounds = []
    if wanted.added_from is not None:
        bounds.append(Job.id >= first_id_of(wanted.added_from))
    if wanted.added_before is not None:
        bounds.append(Job.id < first_id_of(wanted.added_before))
    return bounds


# --- order

_BY_NAME = (Asset.sort_name, Asset.id)
_BY_PROBABILITY = (Job.probability, Job.id)
_KEYS: dict[LibraryOrder, tuple[InstrumentedAttribute[Any], ...]] = {
    LibraryOrder.NEWEST: (Job.id,),
    LibraryOrder.OLDEST: (Job.id,),
    LibraryOrder.LEAST_CERTAIN: _BY_PROBABILITY,
    LibraryOrder.MOST_CERTAIN: _BY_PROBABILITY,
    LibraryOrder.NAME: _BY_NAME,
}
_DESCENDING = {LibraryOrder.NEWEST, LibraryOrder.MOST_CERTAIN}
_PROBABILITIES: dict[Tier, ColumnElement[bool]] = {
    Tier.LOW: Job.probability < LOW_BELOW,
    Tier.MEDIUM: Job.probability.between(LOW_BELOW, HIGH_ABOVE),
    Tier.HIGH: Job.probability > HIGH_ABOVE,
}


def _behind(order: LibraryOrder, cursor: LibraryCursor) -> ColumnElement[bool]:
    keys = _KEYS[order]
    last = literal(cursor.id, keys[-1].type)
    if len(keys) == 1:
        return keys[0] < last if order in _DESCENDING else keys[0] > last
    here, there = tuple_(*keys), tuple_(literal(cursor.value, keys[0].type), last)
    return here < there if order in _DESCENDING else here > there


def _ordered(order: LibraryOrder, wanted: LibraryFilter) -> Select[Any]:
    """Job id and the values of the cursor."""
    keys = _KEYS[order]
    query = select(Job.id.label("job_id"), *(key.label(f"key_{place}") for place, key in enumerate(keys)))
    if order is LibraryOrder.NAME:
        query = query.join(Asset, Job.asset_id == Asset.id)
    if keys is _BY_PROBABILITY:
        query = query.where(Job.probability.is_not(None))
        if wanted.tier is not None:
            query = query.where(_PROBABILITIES[wanted.tier])
    return query.order_by(*(key.desc() if order in _DESCENDING else key for key in keys))


@dataclass(frozen=True, slots=True)
class Found:
    """A job, and the cursor to what is behind it."""

    job_id: uuid.UUID
    cursor: LibraryCursor


def _found(job_id: uuid.UUID, *keys: Any) -> Found:
    """``keys`` are those of the order; the last of them is an id."""
    return Found(job_id, LibraryCursor(keys[0] if len(keys) > 1 else None, keys[-1]))


async def find(
    session: AsyncSession,
    principal: Principal,
    wanted: LibraryFilter,
    order: LibraryOrder,
    *,
    cursor: LibraryCursor | None = None,
    limit: int,
) -> list[Found]:
    """The jobs behind the cursor that the caller may see, at most ``limit``."""
    conditions = _conditions(wanted)
    rare = await rarest(session, conditions)
    query = _ordered(order, wanted).where(visible_to(principal), *_within(wanted))
    query = query.where(*(c.among_few() if c is rare else c.holds for c in conditions))
    if cursor is not None:
        query = query.where(_behind(order, cursor))
    return [_found(*row) for row in (await session.execute(query.limit(limit))).all()]


async def rows(session: AsyncSession, job_ids: Sequence[uuid.UUID]) -> list[Row[Any]]:
    """What the list shows of these jobs, in their order. Of the results, which may be long, only what is needed."""
    query = (
        select(
            *(
                Job.id,
                Job.state,
                Job.progress,
                Job.created_at,
                Job.genre,
                Job.probability,
                Job.tier,
                Job.label,
                Job.error,
            ),
            *(Job.user_id, Job.api_key_id, Job.batch_id, Batch.name.label("batch_name")),
            func.coalesce(User.name, ApiKey.name).label("submitter"),
            *(Asset.name, Asset.title, Asset.artist, Asset.duration_s, Asset.size_bytes),
            Asset.storage_key.is_not(None).label("kept"),
            Review.state.label("review_state"),
            Review.reason.label("review_reason"),
            Job.result["model", "starter"].as_boolean().label("starter"),
        )
        .join(Asset, Job.asset_id == Asset.id)
        .outerjoin(Review, Review.job_id == Job.id)
        .outerjoin(Batch, Batch.id == Job.batch_id)
        .outerjoin(User, User.id == Job.user_id)
        .outerjoin(ApiKey, ApiKey.id == Job.api_key_id)
        .where(Job.id.in_(job_ids))
    )
    by_id = {row.id: row for row in (await session.execute(query)).all()}
    return [by_id[job_id] for job_id in job_ids if job_id in by_id]
