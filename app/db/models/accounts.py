"""People and programs, and how they are let in."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.models.base import Base
from app.domain.ids import new_id, utc_now
from app.domain.permissions import Role


class User(Base):
    """A person, known by issuer and subject; in local mode the one person on this machine.

    ``given_role`` is what an admin has decided; while it is set, what the identity provider says does not count.
    """

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_issuer_subject", "issuer", "subject", unique=True),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(320))
    role: Mapped[Role]
    given_role: Mapped[Role | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_sign_in_at: Mapped[datetime | None]


class Session(Base):
    """A signed-in browser. Only the hash of its cookie is kept."""

    __tablename__ = "sessions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    provider_session: Mapped[str | None] = mapped_column(String(255), index=True)
    id_token: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    user: Mapped[User] = relationship(lazy="joined")


class SignInLink(Base):
    """A one-time link of local mode."""

    __tablename__ = "sign_in_links"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]


class SignInAttempt(Base):
    """A sign-in on its way through the identity provider; the browser holds the token whose hash this is."""

    __tablename__ = "sign_in_attempts"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(128))
    nonce: Mapped[str] = mapped_column(String(128))
    code_verifier: Mapped[str] = mapped_column(String(128))
    next_path: Mapped[str] = mapped_column(String(512))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ApiKey(Base):
    """A program's key. Only its hash is kept; the prefix lets people tell keys apart.

    ``scopes`` are the only permissions of the role that it has; none listed: all of them. A key of a person can do no more
    than that person. With ``webhook_secret`` the callbacks of the jobs that it submits are signed; it is
    sealed (``app.db.vault``).
    """

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    prefix: Mapped[str] = mapped_column(String(16))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[Role]
    scopes: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    webhook_secret: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    user: Mapped[User | None] = relationship(lazy="joined")
