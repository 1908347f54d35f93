"""Models and the workers that run them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base
from app.domain.ids import new_id, utc_now
from app.domain.jobs import JobKind
from app.domain.workers import WorkerState


class Model(Base):
    """A model bundle known to this installation; the files lie in the bundles folder.

    ``shadow_share``: the part of the traffic that it scores beside the active one, without being heard; None for most.
    """

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
    shadow_share: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ModelActivation(Base):
    """That a model became the active one of its kind. A rollback withdraws the last one, so the one before counts again."""

    __tablename__ = "model_activations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    model_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    withdrawn_at: Mapped[datetime | None]


class ShadowScore(Base):
    """What a model in the shadow says to a job that another model has answered.

    ``difference``: mean absolute difference of the sixteen probabilities.
    """

    __tablename__ = "shadow_scores"
    __table_args__ = (Index("uq_shadow_scores_job_id_model_id", "job_id", "model_id", unique=True),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    model_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    main_model_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    genre: Mapped[str] = mapped_column(String(64))
    main_genre: Mapped[str] = mapped_column(String(64))
    agrees: Mapped[bool]
    difference: Mapped[float]
    probabilities: Mapped[list[float]] = mapped_column(JSON)
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
