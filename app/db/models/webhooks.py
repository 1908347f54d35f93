"""Who outside is told of events, and how that went."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.models.accounts import ApiKey, User
from app.db.models.base import Base
from app.db.models.events import Event
from app.domain.ids import new_id, utc_now
from app.domain.webhooks import DeliveryState, DisabledReason


class WebhookEndpoint(Base):
    """An address that is told of events, and whose it is.

    ``event_types`` lists those it wants; none: all. For an hour or a day after a rotation ``previous_secret`` signs too.
    Secrets are sealed (``app.db.vault``).
    ``one_off``: stands for all callbacks of one API key's jobs to one host; the key's webhook secret signs.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    url: Mapped[str] = mapped_column(String(2048))
    description: Mapped[str] = mapped_column(String(200), default="")
    event_types: Mapped[list[str]] = mapped_column(JSON, default=list)
    one_off: Mapped[bool] = mapped_column(default=False)
    secret: Mapped[str | None] = mapped_column(String(255))
    previous_secret: Mapped[str | None] = mapped_column(String(255))
    previous_secret_until: Mapped[datetime | None]
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_success_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[DisabledReason | None]
    user: Mapped[User | None] = relationship(lazy="joined")
    api_key: Mapped[ApiKey | None] = relationship(lazy="joined")


class JobCallback(Base):
    """Where a job's submitter wants to hear of its end."""

    __tablename__ = "job_callbacks"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), index=True)
    url: Mapped[str] = mapped_column(String(2048))


class WebhookDelivery(Base):
    """An event on its way to an endpoint: the outbox, and once it has ended the log.

    ``due_at`` is when it may be taken up next; whoever takes it up moves that on, so nothing that is lost stays lost.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "endpoint_id", "state", "due_at"),
        Index("ix_webhook_deliveries_log", "endpoint_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), index=True)
    url: Mapped[str | None] = mapped_column(String(2048))
    redelivery: Mapped[bool] = mapped_column(default=False)
    state: Mapped[DeliveryState] = mapped_column(default=DeliveryState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(default=utc_now)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]
    event: Mapped[Event] = relationship(lazy="joined", innerjoin=True)


class WebhookAttempt(Base):
    """One request of a delivery, and what came back: a status with the first 4 KB, or an error in our words."""

    __tablename__ = "webhook_attempts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    sent_at: Mapped[datetime]
    duration_ms: Mapped[float]
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(300))
    request_headers: Mapped[dict[str, str]] = mapped_column(JSON)
    response_headers: Mapped[dict[str, str]] = mapped_column(JSON)
    response_body: Mapped[str] = mapped_column(Text)
