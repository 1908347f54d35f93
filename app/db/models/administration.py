"""What admins set, and the record of what was done."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base
from app.domain.ids import new_id, utc_now


class Preference(Base):
    """One value that an admin has set in the portal; what is not here has its default."""

    __tablename__ = "preferences"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
    changed_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)


class AuditEntry(Base):
    """Who did what to what, in the order of the ids. Append-only, and without foreign keys: it outlives all it names."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_target", "target_type", "target_id"),
        Index("ix_audit_entries_target_id", "target_id", "id"),
        Index("ix_audit_entries_actor", "actor", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    action: Mapped[str] = mapped_column(String(64), index=True)
    actor: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    api_key_id: Mapped[uuid.UUID | None]
    target_type: Mapped[str | None] = mapped_column(String(32))
    target_id: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class AuditHorizon(Base):
    """Entries from before this may be deleted, by retention: one row. Triggers refuse every other change of the log.

    They also keep the horizon 29 days behind the present (migration 0010).
    """

    __tablename__ = "audit_horizons"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    delete_before: Mapped[datetime]


class SavedView(Base):
    """A filter of the library under a name; a shared one is there for everybody."""

    __tablename__ = "saved_views"
    __table_args__ = (Index("uq_saved_views_user_name", "user_id", "name", unique=True),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))
    query: Mapped[str] = mapped_column(String(1000))
    shared: Mapped[bool] = mapped_column(default=False, index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
