"""What administrators see of people and of what was done."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import msgspec

from app.domain.permissions import Role


class PersonOut(msgspec.Struct, frozen=True, kw_only=True):
    """``given_role``: an admin has decided on it; else the role is what the identity provider says."""

    id: uuid.UUID
    name: str
    email: str | None
    role: Role
    given_role: Role | None
    last_sign_in_at: datetime | None
    open_sessions: int


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What of the audit log is meant. ``text`` is a part of the name of who did it, or the id of what it was done to."""

    text: str = ""
    action: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None


class AuditEntryOut(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to what. ``details`` are the action's own; the user or the key is there for programs."""

    id: uuid.UUID
    action: str
    actor: str
    user_id: uuid.UUID | None
    api_key_id: uuid.UUID | None
    target_type: str | None
    target_id: str | None
    details: dict[str, Any]
    created_at: datetime


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first."""

    items: list[AuditEntryOut]
    next_cursor: str | None
