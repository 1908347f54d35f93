"""The audit log: who did what to what, written in the transaction in which it was done."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ColumnElement

from app.db.models import AuditEntry
from app.db.repositories import audit as repository
from app.db.uow import UnitOfWork
from app.domain.administration import AuditEntryOut, AuditPage
from app.domain.permissions import Principal

PAGE_LIMIT = 100


def record(
    uow: UnitOfWork,
    principal: Principal,
    action: str,
    *,
    target_type: str | None = None,
    target_id: uuid.UUID | str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """``action`` is a noun and a verb, like ``settings.change``; ``details`` never carries a secret."""
    uow.session.add(
        AuditEntry(
            action=action,
            actor=principal.name,
            user_id=principal.user_id,
            api_key_id=principal.api_key_id,
            target_type=target_type,
            target_id=str(target_id) if target_id is not None else None,
            details=details or {},
        )
    )


# --- reading it


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


async def _conditions(uow: UnitOfWork, text: str, action: str) -> list[ColumnElement[bool]]:
    conditions = [AuditEntry.action == action] if action else []
    if target := _id(text):
        conditions.append(AuditEntry.target_id == str(target))
    elif text:
        wanted = text.casefold()
        actors = [name for name in await repository.actors(uow.session) if wanted in name.casefold()]
        conditions.append(AuditEntry.actor.in_(actors))
    return conditions


async def list_entries(
    uow: UnitOfWork, *, text: str = "", action: str = "", cursor: uuid.UUID | None = None, limit: int = 50
) -> AuditPage:
    """Newest first. ``text`` is a part of the name of who did it, or the id of what it was done to."""
    limit = max(1, min(limit, PAGE_LIMIT))
    conditions = await _conditions(uow, text, action)
    entries = await repository.find(uow.session, *conditions, before=cursor, limit=limit + 1)
    items = [_entry_out(entry) for entry in entries[:limit]]
    return AuditPage(items=items, next_cursor=str(items[-1].id) if len(entries) > limit else None)


def _entry_out(entry: AuditEntry) -> AuditEntryOut:
    return AuditEntryOut(
        id=entry.id,
        action=entry.action,
        actor=entry.actor,
        target_type=entry.target_type,
        target_id=entry.target_id,
        details=entry.details,
        created_at=entry.created_at,
    )
