"""Conditions on recordings, and which of several is the rare one.

Databases guess that badly, so it is counted here, up to a limit.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.db.models import Job, SearchTerm
from app.domain.search import query_terms

# Up to so many recordings are looked up one by one and sorted.
_RARE = 2000
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Condition:
    """``ids`` finds, by an index of its own, the values of ``column`` for which ``holds`` is true."""

    column: InstrumentedAttribute[uuid.UUID]
    ids: Select[Any]
    holds: ColumnElement[bool]

    def among_few(self) -> ColumnElement[bool]:
        """The same as ``holds`` where it is rare, for a query that begins with it."""
        return self.column.in_(self.ids.limit(_RARE))


def begins_with(term: str) -> ColumnElement[bool]:
    """As a range, which every database can look up in an index."""
    return and_(SearchTerm.term >= term, SearchTerm.term < term + _LAST_CHARACTER)


def _term(term: str) -> Condition:
    found = select(SearchTerm.asset_id).where(begins_with(term))
    return Condition(Job.asset_id, found, exists().where(SearchTerm.asset_id == Job.asset_id, begins_with(term)))


def named(text: str) -> list[Condition]:
    """Each part of what somebody has typed begins a word of the name, title or artist."""
    return [_term(term) for term in query_terms(text)]


async def rarest(session: AsyncSession, conditions: Sequence[Condition]) -> Condition | None:
    """The condition that the fewest recordings fulfil, if they are few."""
    counted = []
    for condition in conditions:
        some = condition.ids.limit(_RARE + 1).subquery()
        count = await session.scalar(select(func.count()).select_from(some)) or 0
        if count <= _RARE:
            counted.append((count, condition))
        if count == 0:
            break
    return min(counted, key=lambda pair: pair[0])[1] if counted else None
