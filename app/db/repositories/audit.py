"""Queries on the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import AuditEntry

_ACTORS_LIMIT = 1000


async def actors(session: AsyncSession) -> list[str]:
    """Everybody who has ever done anything: from name to name along the index, without reading what lies between."""
    first = select(func.min(AuditEntry.actor).label("actor")).cte("actors", recursive=True)
    following = select(func.min(AuditEntry.actor)).where(AuditEntry.actor > first.c.actor).scalar_subquery()
    names = first.union_all(select(following).where(first.c.actor.is_not(None)))
    found = await session.scalars(select(names.c.actor).limit(_ACTORS_LIMIT))
    return [name for name in found if name is not None]


async def find(
    session: AsyncSession, *conditions: ColumnElement[bool], before: uuid.UUID | None, limit: int
) -> Sequence[AuditEntry]:
    """Newest first, older than the entry ``before``."""
    query = select(AuditEntry).where(*conditions).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return (await session.scalars(query)).all()


async def newest_id(session: AsyncSession) -> uuid.UUID | None:
    """Of an empty log None."""
    return await session.scalar(select(AuditEntry.id).order_by(AuditEntry.id.desc()).limit(1))


async def find_forwards(
    session: AsyncSession, *conditions: ColumnElement[bool], after: uuid.UUID | None, up_to: uuid.UUID, limit: int
) -> Sequence[AuditEntry]:
    """Oldest first, newer than the entry ``after``."""
    query = select(AuditEntry).where(*conditions, AuditEntry.id <= up_to).order_by(AuditEntry.id).limit(limit)
    if after is not None:
        query = query.where(AuditEntry.id > after)
    return (await session.scalars(query)).all()
