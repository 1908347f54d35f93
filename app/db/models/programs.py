"""What programs need: answers that can be repeated, large files in parts, and addresses to fetch recordings from."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base
from app.domain.ids import new_id, utc_now
from app.domain.media import NAME_LIMIT, Container


class IdempotentAnswer(Base):
    """The answer to a request with an ``Idempotency-Key``, written in the transaction that created the thing.

    ``caller`` is the kind and the id of who asked, ``fingerprint`` a hash of the request.
    """

    __tablename__ = "idempotent_answers"
    __table_args__ = (Index("uq_idempotent_answers_caller_key", "caller", "key", unique=True),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    caller: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    location: Mapped[str | None] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class DirectUpload(Base):
    """A large file that comes in parts, past the web process where the storage can take it.

    Its id becomes the asset's. What the whole file is (``sha256``, ``container``) is known once it has been completed.
    """

    __tablename__ = "direct_uploads"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_LIMIT))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    part_bytes: Mapped[int]
    sha256: Mapped[str | None] = mapped_column(String(64))
    container: Mapped[Container | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Source(Base):
    """Where the recording of a queued job is still to be fetched from; deleted once it is here.

    ``due_at`` is when to try (again): none while nobody should. An address may carry a signature, so it is kept no longer
    than it is needed.
    """

    __tablename__ = "sources"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    force: Mapped[bool] = mapped_column(default=False)
    attempt: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None] = mapped_column(index=True)
