"""Files and the analyses of them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.models.base import Base
from app.db.models.reviews import Review
from app.domain.genres import Tier
from app.domain.ids import new_id, utc_now
from app.domain.jobs import AnalysisScope, JobKind, JobState, Lane
from app.domain.media import NAME_LIMIT, Container
from app.domain.search import SORT_NAME_LENGTH


class Asset(Base):
    """An uploaded file. What its header says is known only after a worker has decoded it.

    One that is still to be fetched from its source has no content yet: neither hash nor size nor container. One whose
    time is over has lost its ``storage_key``. ``cooled_at``: since when it lies in the cold storage class.
    """

    __tablename__ = "assets"
    __table_args__ = (Index("ix_assets_sort_name", "sort_name", "id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(NAME_LIMIT))
    container: Mapped[Container | None]
    storage_key: Mapped[str | None] = mapped_column(String(255))
    cooled_at: Mapped[datetime | None]
    duration_s: Mapped[float | None]
    sample_rate_hz: Mapped[int | None]
    channels: Mapped[int | None]
    title: Mapped[str | None] = mapped_column(String(255))
    artist: Mapped[str | None] = mapped_column(String(255))
    sort_name: Mapped[str] = mapped_column(String(SORT_NAME_LENGTH), default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Job(Base):
    """One analysis of one asset.

    ``attributes`` are the submitter's own words about it (the API calls them metadata), ``progress`` goes from 0 to 1 while a
    long recording is analysed, ``label`` is the genre that people have decided on.

    ``lane`` and ``turn`` are its place in the queue (``app.services.fair_share``); without a turn it is not to be analysed yet,
    or was queued by a version that knew none.
    """

    __tablename__ = "jobs"
    # Ids are of UUID version 7: their order is the order of creation, and the key that lists are paged by.
    __table_args__ = (
        Index("ix_jobs_state_lease", "state", "lease_until"),
        Index("ix_jobs_batch_state", "batch_id", "state"),
        # For the library: everything that it is limited by, so that a walk through it does not touch the wide rows.
        Index(
            "ix_jobs_library",
            "id",
            *("state", "genre", "label", "tier", "batch_id", "user_id", "api_key_id", "asset_id", "probability"),
        ),
        Index("ix_jobs_genre_label", "genre", "label", "tier", "id"),
        Index("ix_jobs_label_tier", "label", "tier", "id"),
        Index("ix_jobs_probability", "probability", "id"),
        Index("ix_jobs_state_finished_at", "state", "finished_at"),
        Index("ix_jobs_queue", "state", "lane", "turn", "id"),
        Index("ix_jobs_queue_owner", "state", "lane", "user_id", "api_key_id", "turn"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    asset_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assets.id"), index=True)
    batch_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("batches.id", ondelete="SET NULL"), index=True)
    kind: Mapped[JobKind]
    scope: Mapped[AnalysisScope] = mapped_column(default=AnalysisScope.START)
    state: Mapped[JobState] = mapped_column(default=JobState.QUEUED)
    lane: Mapped[Lane | None]
    turn: Mapped[int | None] = mapped_column(BigInteger)
    attempt: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)
    worker_id: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    rung_at: Mapped[datetime] = mapped_column(default=utc_now)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_keys.id", ondelete="SET NULL"), index=True)
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    progress: Mapped[float | None]
    model_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("models.id", ondelete="SET NULL"), index=True)
    deduplicated: Mapped[bool] = mapped_column(default=False)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    genre: Mapped[str | None] = mapped_column(String(64))
    probability: Mapped[float | None]
    tier: Mapped[Tier | None] = mapped_column(index=True)
    label: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    asset: Mapped[Asset] = relationship(lazy="joined", innerjoin=True)
    review: Mapped[Review | None] = relationship(lazy="joined", passive_deletes=True)
