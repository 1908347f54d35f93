"""What is over its time: found, counted, and deleted or moved in slices. Each slice is one transaction, written down in sums.

Files go after the commit; of those that are left because a process died in between the orphans' sweep gets hold.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update

from app.db.models import Asset, AuditEntry, AuditHorizon, Batch, GenreExample, Job, Review
from app.db.uow import UnitOfWork
from app.domain.ids import first_id_of, utc_now
from app.domain.jobs import FINAL_STATES
from app.domain.keys import spectrogram_key
from app.domain.retention import Due, Retention, RetentionPreview
from app.domain.reviews import ReviewState
from app.services import audit

SLICE = 200
_UNSYNCHRONISED = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Slice:
    """``count``: rows that went in this transaction; fewer than asked for: there are no more. ``keys``: files to delete."""

    count: int
    keys: Sequence[str] = ()


def _before(days: int) -> datetime:
    return utc_now() - timedelta(days=days)


# --- what is over its time


def _kept(retention: Retention) -> ColumnElement[bool]:
    """Examples of genres, and what people have decided on: the material of the next training."""
    example = exists().where(GenreExample.job_id == Job.id)
    if not retention.keep_reviewed:
        return example
    decided = exists().where(Review.job_id == Job.id, Review.state == ReviewState.DECIDED)
    return or_(example, Job.label.is_not(None), decided)


def _over(retention: Retention, days: int) -> list[ColumnElement[bool]]:
    return [Job.state.in_(FINAL_STATES), Job.finished_at < _before(days), ~_kept(retention)]


def _results(retention: Retention) -> list[ColumnElement[bool]]:
    return _over(retention, retention.results_days)


def _audio(retention: Retention) -> list[ColumnElement[bool]]:
    return [*_over(retention, retention.audio_days), Asset.storage_key.is_not(None)]


def _cold(retention: Retention) -> list[ColumnElement[bool]]:
    """Whatever else is to happen to it: what is kept for ever gets cold too."""
    finished = [Job.state.in_(FINAL_STATES), Job.finished_at < _before(retention.cold_days)]
    return [*finished, Asset.storage_key.is_not(None), Asset.cooled_at.is_(None)]


def _audit(retention: Retention) -> list[ColumnElement[bool]]:
    before = _before(retention.audit_days)
    return [AuditEntry.id < first_id_of(before), AuditEntry.created_at < before]


async def preview(uow: UnitOfWork, retention: Retention, *, can_cool: bool) -> RetentionPreview:
    """What would go now; 0 days: nothing. ``can_cool``: does the storage have a cold class?"""
    return RetentionPreview(
        results=await _recordings(uow, _results(retention)) if retention.results_days else Due(0),
        audio=await _recordings(uow, _audio(retention)) if retention.audio_days else Due(0),
        cold=await _recordings(uow, _cold(retention)) if retention.cold_days and can_cool else Due(0),
        audit=await _entries(uow, _audit(retention)) if retention.audit_days else Due(0),
    )


async def _recordings(uow: UnitOfWork, conditions: Sequence[ColumnElement[bool]]) -> Due:
    kept_bytes = func.sum(Asset.size_bytes).filter(Asset.storage_key.is_not(None))
    query = select(func.count(), func.coalesce(kept_bytes, 0)).select_from(Job).join(Job.asset).where(*conditions)
    count, size_bytes = (await uow.session.execute(query)).one()
    return Due(count, int(size_bytes or 0))


async def _entries(uow: UnitOfWork, conditions: Sequence[ColumnElement[bool]]) -> Due:
    return Due(await uow.session.scalar(select(func.count()).select_from(AuditEntry).where(*conditions)) or 0)


# --- a slice of it


def _oldest(conditions: Sequence[ColumnElement[bool]]) -> Any:
    columns = (Job.id, Job.batch_id, Job.asset_id, Asset.storage_key, Asset.size_bytes)
    return select(*columns).join(Job.asset).where(*conditions).order_by(Job.finished_at).limit(SLICE)


async def _take(uow: UnitOfWork, conditions: Sequence[ColumnElement[bool]]) -> Sequence[Any]:
    """Rows that another process is at are passed over, so that two never count the same one."""
    query = _oldest(conditions).with_for_update(of=[Job, Asset], skip_locked=True)
    return (await uow.session.execute(query)).all()


def _record(uow: UnitOfWork, action: str, days: int, due: Due) -> None:
    details = {"days": days, **msgspec.structs.asdict(due)}
    audit.record(uow, audit.EARMARK, action, details=details)


def _sum(rows: Sequence[Any]) -> Due:
    return Due(len(rows), sum(row.size_bytes or 0 for row in rows))


async def delete_audio(uow: UnitOfWork, retention: Retention) -> Slice:
    """The recordings lose their audio; results, pictures and reviews stay."""
    rows = await _take(uow, _audio(retention))
    if not rows:
        return Slice(0)
    statement = update(Asset).where(Asset.id.in_([row.asset_id for row in rows])).values(storage_key=None)
    await uow.session.execute(statement, execution_options=_UNSYNCHRONISED)
    uow.changed_jobs.extend(row.id for row in rows)
    _record(uow, "retention.audio", retention.audio_days, _sum(rows))
    return Slice(len(rows), [row.storage_key for row in rows])


async def delete_results(uow: UnitOfWork, retention: Retention) -> Slice:
    """The recordings go with all that belongs to them; so do the batches that are empty then."""
    rows = await _take(uow, _results(retention))
    if not rows:
        return Slice(0)
    await uow.session.execute(delete(Job).where(Job.id.in_([row.id for row in rows])))
    await uow.session.execute(delete(Asset).where(Asset.id.in_([row.asset_id for row in rows])))
    await _delete_empty_batches(uow, {row.batch_id for row in rows if row.batch_id})
    kept = [row for row in rows if row.storage_key]
    uow.changed_jobs.extend(row.id for row in rows)
    _record(uow, "retention.results", retention.results_days, Due(len(rows), _sum(kept).size_bytes))
    return Slice(len(rows), [*(row.storage_key for row in kept), *(spectrogram_key(row.id) for row in rows)])


async def _delete_empty_batches(uow: UnitOfWork, batch_ids: set[uuid.UUID]) -> None:
    empty = ~exists().where(Job.batch_id == Batch.id)
    statement = delete(Batch).where(Batch.id.in_(batch_ids), Batch.finished_at.is_not(None), empty)
    await uow.session.execute(statement, execution_options=_UNSYNCHRONISED)


async def shorten_audit_log(uow: UnitOfWork, retention: Retention) -> Slice:
    """The horizon goes first: the database lets nobody delete what lies before it."""
    conditions = _audit(retention)
    await uow.session.merge(AuditHorizon(id=1, delete_before=_before(retention.audit_days)))
    await uow.session.flush()
    some = select(AuditEntry.id).where(*conditions).order_by(AuditEntry.id).limit(SLICE)
    statement = delete(AuditEntry).where(AuditEntry.id.in_(some)).returning(AuditEntry.id)
    deleted = (await uow.session.scalars(statement, execution_options=_UNSYNCHRONISED)).all()
    if deleted:
        _record(uow, "retention.audit", retention.audit_days, Due(len(deleted)))
    return Slice(len(deleted))


# --- to the cold class. Copying takes long, so it is no part of a transaction.


@dataclass(frozen=True, slots=True)
class Warm:
    """Audio that should lie in the cold class by now."""

    asset_id: uuid.UUID
    key: str
    size_bytes: int


async def warm_audio(uow: UnitOfWork, retention: Retention) -> list[Warm]:
    rows = await uow.session.execute(_oldest(_cold(retention)))
    return [Warm(row.asset_id, row.storage_key, row.size_bytes or 0) for row in rows]


async def record_cooled(uow: UnitOfWork, cooled: Sequence[Warm], days: int) -> None:
    statement = update(Asset).where(Asset.id.in_([one.asset_id for one in cooled])).values(cooled_at=utc_now())
    await uow.session.execute(statement, execution_options=_UNSYNCHRONISED)
    _record(uow, "retention.cold", days, _sum(cooled))
