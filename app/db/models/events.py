"""What happened."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base
from app.domain.ids import new_id, utc_now
from app.domain.jobs import EventType

_UNNUMBERED = text("sequence IS NULL")


class Event(Base):
    """What happened. Outlives what it is about, so there are no foreign keys.

    ``data`` are the facts, for ourselves. ``payload`` is what the outside is told, as JSON; None: nothing. ``sequence`` is
    the event's place in the feed: ids are made before the commit, so an event can appear after one with a greater id.
    ``private``: it is about a private batch.
    """

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_unnumbered", "id", sqlite_where=_UNNUMBERED, postgresql_where=_UNNUMBERED),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    type: Mapped[EventType]
    job_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    batch_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    payload: Mapped[str | None] = mapped_column(Text)
    private: Mapped[bool] = mapped_column(default=False)
    sequence: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class EventCounter(Base):
    """The last number given to an event: one row, which whoever gives numbers holds."""

    __tablename__ = "event_counters"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigInteger)
