"""Assets by the thousand: with what they are found and ordered by, which the ORM writes for single ones."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Asset, SearchTerm
from app.domain.search import sort_name, terms_of


async def insert_named(session: AsyncSession, names: Sequence[tuple[uuid.UUID, str]]) -> None:
    """Assets of which the name is all that is known."""
    assets = [{"id": asset_id, "name": name, "sort_name": sort_name(None, name)} for asset_id, name in names]
    terms = [{"term": term, "asset_id": asset_id} for asset_id, name in names for term in terms_of(name, None, None)]
    await session.execute(insert(Asset), assets)
    if terms:
        await session.execute(insert(SearchTerm), terms)
