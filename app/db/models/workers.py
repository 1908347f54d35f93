"""Models and the workers that run them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base
from app.domain.ids import new_id, utc_now
from app.domain.jobs import JobKind
from app.domain.workers import WorkerState


class Model(Base):
    """A model bundle known to this installation; the files lie in the bundles folder."""

    __tablename__ = "models"
    __table_args__ = (Index("uq_models_name_version", "name", "version", unique=True),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[JobKind]
    name: Mapped[str] = mapped_column(String(80))
    version: Mapped[str] = mapped_column(String(40))
    sha256: Mapped[str] = mapped_column(String(64))
    starter: Mapped[bool]
    card: Mapped[dict[str, Any]]
    active: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Worker(Base):
    """A worker process and its last sign of life; what it says when it can't work is shown in the portal."""

    __tablename__ = "workers"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    state: Mapped[WorkerState]
    message: Mapped[str | None] = mapped_column(Text)
    model_id: Mapped[uuid.UUID | None]
    started_at: Mapped[datetime] = mapped_column(default=utc_now)
    seen_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
