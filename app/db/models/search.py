"""What recordings are found and ordered by. Whatever changes an asset's names through the ORM changes this in the same flush."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Connection, ForeignKey, Index, String, delete, event, insert, inspect
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from app.db.models.base import Base
from app.db.models.jobs import Asset
from app.domain.search import TERM_LENGTH, sort_name, terms_of

# Beginnings are looked up as ranges, so the order must be that of the characters' numbers everywhere.
BY_CODE_POINT = String(TERM_LENGTH).with_variant(String(TERM_LENGTH, collation="C"), "postgresql")


class SearchTerm(Base):
    """One of the terms of one asset."""

    __tablename__ = "search_terms"
    __table_args__ = (Index("ix_search_terms_asset_id", "asset_id", "term"), {"sqlite_with_rowid": False})

    term: Mapped[str] = mapped_column(BY_CODE_POINT, primary_key=True)
    asset_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True)


def _write_terms(connection: Connection, asset: Asset) -> None:
    rows = [{"term": term, "asset_id": asset.id} for term in terms_of(asset.name, asset.title, asset.artist)]
    if rows:
        connection.execute(insert(SearchTerm), rows)


@event.listens_for(Asset, "before_insert")
@event.listens_for(Asset, "before_update")
def _asset_changes(_: Mapper[Any], __: Connection, asset: Asset) -> None:
    asset.sort_name = sort_name(asset.title, asset.name)


@event.listens_for(Asset, "after_insert")
def _asset_added(_: Mapper[Any], connection: Connection, asset: Asset) -> None:
    _write_terms(connection, asset)


@event.listens_for(Asset, "after_update")
def _asset_changed(_: Mapper[Any], connection: Connection, asset: Asset) -> None:
    state = inspect(asset)
    if any(state.attrs[name].history.has_changes() for name in ("name", "title", "artist")):
        connection.execute(delete(SearchTerm).where(SearchTerm.asset_id == asset.id))
        _write_terms(connection, asset)
