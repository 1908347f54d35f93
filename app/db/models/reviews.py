"""What people decide."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base
from app.domain.ids import new_id, utc_now
from app.domain.jobs import ReviewReason
from app.domain.reviews import NOTE_LIMIT, ReviewState


class Review(Base):
    """A result that a person should look at, or has looked at.

    Genre, probability and batch are the job's: the orders of the queue are indexes of this table. ``claimed_by`` is the
    user or API key that has it until ``lease_until``; each claim has a ``lease_id`` of its own, so that a release that
    comes too late releases nothing. While it waits, ``decided_by`` names everybody whose decision stands: at the end of
    each order's index, so that reviewers are led past what they have decided on without a look at its row.
    """

    __tablename__ = "reviews"
    __table_args__ = (
        Index("ix_reviews_state_probability", "state", "probability", "id", "decided_by"),
        Index("ix_reviews_state_id", "state", "id", "decided_by"),
        Index("ix_reviews_state_genre", "state", "genre", "probability", "id", "decided_by"),
        Index("ix_reviews_state_batch", "state", "batch_id", "probability", "id", "decided_by"),
        Index("ix_reviews_state_decided_at", "state", "decided_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), unique=True)
    reason: Mapped[ReviewReason]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    state: Mapped[ReviewState] = mapped_column(default=ReviewState.OPEN)
    genre: Mapped[str] = mapped_column(String(64))
    probability: Mapped[float]
    batch_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("batches.id", ondelete="SET NULL"), index=True)
    claimed_by: Mapped[uuid.UUID | None] = mapped_column(index=True)
    claimed_at: Mapped[datetime | None]
    lease_id: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    label: Mapped[str | None] = mapped_column(String(64))
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str] = mapped_column(Text, default="", server_default="")


class ReviewDecision(Base):
    """What one person decided. Never changed: a new decision withdraws the one before, and both stay.

    ``genre`` is None where no genre fits. The proposal is what the model said then. ``reviewer_id`` is a user or an API
    key, without a foreign key: the decision outlives both.
    """

    __tablename__ = "review_decisions"
    __table_args__ = (
        Index(
            "uq_review_decisions_standing",
            "review_id",
            "reviewer_id",
            "arbitration",
            unique=True,
            sqlite_where=text("withdrawn_at IS NULL"),
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
        Index("ix_review_decisions_reviewer", "reviewer_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    review_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("reviews.id", ondelete="CASCADE"), index=True)
    reviewer_id: Mapped[uuid.UUID]
    reviewer: Mapped[str] = mapped_column(String(255))
    genre: Mapped[str | None] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(String(NOTE_LIMIT), default="")
    arbitration: Mapped[bool] = mapped_column(default=False)
    proposed_genre: Mapped[str] = mapped_column(String(64))
    proposed_probability: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    withdrawn_at: Mapped[datetime | None]


class ReviewSkip(Base):
    """Somebody passed over an item: it comes to them again only when they ask for it."""

    __tablename__ = "review_skips"

    review_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("reviews.id", ondelete="CASCADE"), primary_key=True)
    reviewer_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
