"""Queries on saved views, and on whom and what the library can be limited to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import ApiKey, SavedView, User


async def of(session: AsyncSession, user_id: uuid.UUID) -> Sequence[SavedView]:
    """The person's own and the shared ones, by name."""
    query = select(SavedView).where(or_(SavedView.user_id == user_id, SavedView.shared)).order_by(SavedView.name)
    return (await session.scalars(query)).all()


async def get_own(session: AsyncSession, user_id: uuid.UUID, name: str) -> SavedView | None:
    query = select(SavedView).where(SavedView.user_id == user_id, SavedView.name == name)
    return (await session.scalars(query)).one_or_none()


async def count_own(session: AsyncSession, user_id: uuid.UUID) -> int:
    return await session.scalar(select(func.count()).where(SavedView.user_id == user_id)) or 0


async def remove(session: AsyncSession, view_id: uuid.UUID, user_id: uuid.UUID | None) -> bool:
    """``user_id``: only if it is that person's. Was there one?"""
    statement = delete(SavedView).where(SavedView.id == view_id).returning(SavedView.id)
    if user_id is not None:
        statement = statement.where(SavedView.user_id == user_id)
    return (await session.scalars(statement)).one_or_none() is not None


async def submitters(
    session: AsyncSession, limit: int
) -> tuple[list[tuple[uuid.UUID, str]], list[tuple[uuid.UUID, str]]]:
    """The people and the programs that may have submitted something, by name."""
    people = await session.execute(select(User.id, User.name).order_by(User.name).limit(limit))
    programs = await session.execute(select(ApiKey.id, ApiKey.name).order_by(ApiKey.name).limit(limit))
    return [(row[0], row[1]) for row in people], [(row[0], row[1]) for row in programs]
