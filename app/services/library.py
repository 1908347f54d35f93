"""The library: finding recordings among very many, and doing something to several at once."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from app.db.repositories import library as repository
from app.db.uow import UnitOfWork
from app.domain.failures import FailureCode
from app.domain.library import (
    BulkAction,
    LibraryCursor,
    LibraryEntry,
    LibraryFilter,
    LibraryOrder,
    LibraryPage,
    ReviewStatus,
)
from app.domain.permissions import Permission, Principal
from app.domain.reviews import ReviewState
from app.errors import AudioGone, Forbidden, JobNotFound, JobStateConflict
from app.services import jobs, reviews
from app.services.job_views import failure_out

PAGE_LIMIT = 100
BULK_LIMIT = 500
EXPORT_LIMIT = 10_000
_CURSOR_LIMIT = 400

# --- the list


def _encoded(cursor: LibraryCursor) -> str:
    return base64.urlsafe_b64encode(json.dumps([cursor.value, cursor.id.hex]).encode()).decode()


def _decoded(text: str) -> LibraryCursor | None:
    """None for what is no cursor: an old or mistyped address shows the beginning rather than an error."""
    try:
        value, job_id = json.loads(base64.urlsafe_b64decode(text[:_CURSOR_LIMIT]))
        return LibraryCursor(value if isinstance(value, float | str) else None, uuid.UUID(job_id))
    except (ValueError, TypeError, AttributeError, binascii.Error):
        return None


def _fits(cursor: LibraryCursor, order: LibraryOrder) -> bool:
    """Is it a cursor of this order?"""
    if order is LibraryOrder.NAME:
        return isinstance(cursor.value, str)
    by_certainty = order in (LibraryOrder.LEAST_CERTAIN, LibraryOrder.MOST_CERTAIN)
    return isinstance(cursor.value, float) if by_certainty else cursor.value is None


def _review_status(state: ReviewState | None) -> ReviewStatus:
    if state is None:
        return ReviewStatus.NONE
    return ReviewStatus.DECIDED if state is ReviewState.DECIDED else ReviewStatus.WAITING


def _entry(row: Row[Any]) -> LibraryEntry:
    return LibraryEntry(
        id=row.id,
        state=row.state,
        progress=row.progress,
        created_at=row.created_at,
        submitted_by=row.submitter,
        batch_id=row.batch_id,
        batch_name=row.batch_name,
        name=row.name,
        title=row.title,
        artist=row.artist,
        duration_s=row.duration_s,
        size_bytes=row.size_bytes,
        kept=row.kept,
        genre=row.genre,
        probability=row.probability,
        tier=row.tier,
        label=row.label,
        starter=bool(row.starter),
        review=_review_status(row.review_state),
        review_reason=row.review_reason,
        error=failure_out(FailureCode(row.error["code"]), row.error["params"]) if row.error else None,
    )


async def list_recordings(
    uow: UnitOfWork,
    principal: Principal,
    wanted: LibraryFilter,
    order: LibraryOrder = LibraryOrder.NEWEST,
    *,
    cursor: str | None = None,
    limit: int = 50,
) -> LibraryPage:
    """One page. One recording more than asked for is looked for, to know whether there is a next one."""
    limit = max(1, min(limit, PAGE_LIMIT))
    behind = _decoded(cursor) if cursor else None
    if behind is not None and not _fits(behind, order):
        behind = None
    found = await repository.find(uow.session, principal, wanted, order, cursor=behind, limit=limit + 1)
    rows = await repository.rows(uow.session, [entry.job_id for entry in found[:limit]])
    more = _encoded(found[limit - 1].cursor) if len(found) > limit else None
    return LibraryPage(items=[_entry(row) for row in rows], next_cursor=more)


async def find_all(uow: UnitOfWork, principal: Principal, wanted: LibraryFilter) -> list[uuid.UUID]:
    """The newest that fit, up to ``EXPORT_LIMIT``."""
    found = await repository.find(uow.session, principal, wanted, LibraryOrder.NEWEST, limit=EXPORT_LIMIT)
    return [entry.job_id for entry in found]


async def get_recording(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> LibraryEntry:
    await jobs.get_job(uow, principal, job_id)  # raises for who may not see it
    return _entry((await repository.rows(uow.session, [job_id]))[0])


# --- several at once


@dataclass(slots=True)
class BulkOutcome:
    """``skipped``: those that are somebody else's, gone, or in the wrong state. ``keys``: files to delete after the commit."""

    done: int = 0
    skipped: int = 0
    keys: list[str] = field(default_factory=list)


async def _reanalyse(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> list[str]:
    await jobs.reanalyse_job(uow, principal, job_id)
    return []


_EACH: dict[BulkAction, Callable[[UnitOfWork, Principal, uuid.UUID], Awaitable[list[str]]]] = {
    BulkAction.DELETE: jobs.delete_job,
    BulkAction.REANALYSE: _reanalyse,
}
NEEDED: dict[BulkAction, Permission] = {
    BulkAction.DELETE: Permission.JOBS_CREATE,
    BulkAction.REANALYSE: Permission.JOBS_CREATE,
    BulkAction.REVIEW: Permission.REVIEWS_DECIDE,
}


async def act(uow: UnitOfWork, principal: Principal, action: BulkAction, job_ids: Sequence[uuid.UUID]) -> BulkOutcome:
    """Do it to each for which it is possible.

    Raises:
        Forbidden: the caller's role lacks the action.
    """
    if not principal.may(NEEDED[action]):
        raise Forbidden
    wanted = list(dict.fromkeys(job_ids))[:BULK_LIMIT]
    outcome = BulkOutcome()
    if action is BulkAction.REVIEW:
        outcome.done = await reviews.request_reviews(uow, principal, wanted)
    else:
        for job_id in wanted:
            try:
                outcome.keys += await _EACH[action](uow, principal, job_id)
            except (Forbidden, JobNotFound, JobStateConflict, AudioGone):
                continue
            outcome.done += 1
    outcome.skipped = len(wanted) - outcome.done
    return outcome
