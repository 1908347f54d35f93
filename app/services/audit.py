"""The audit log: who did what to what, written in the transaction in which it was done."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ColumnElement

from app.db.models import AuditEntry
from app.db.repositories import audit as repository
from app.db.uow import UnitOfWork
from app.domain.administration import AuditEntryOut, AuditFilter, AuditPage
from app.domain.ids import first_id_of
from app.domain.permissions import Principal, Role

PAGE_LIMIT = 100
# Who does what nobody has asked for at that moment.
EARMARK = Principal("Earmark", Role.ADMIN)


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


async def conditions_of(uow: UnitOfWork, wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """Ids carry the time, and the log is ordered by them."""
    conditions = [AuditEntry.action == wanted.action] if wanted.action else []
    if target := _id(wanted.text):
        conditions.append(AuditEntry.target_id == str(target))
    elif wanted.text:
        text = wanted.text.casefold()
        actors = [name for name in await repository.actors(uow.session) if text in name.casefold()]
        conditions.append(AuditEntry.actor.in_(actors))
    if wanted.created_after is not None:
        conditions.append(AuditEntry.id >= first_id_of(wanted.created_after))
    if wanted.created_before is not None:
        conditions.append(AuditEntry.id < first_id_of(wanted.created_before))
    return conditions


async def list_entries(
    uow: UnitOfWork, wanted: AuditFilter, *, cursor: uuid.UUID | None = None, limit: int = 50
) -> AuditPage:
    """Newest first."""
    limit = max(1, min(limit, PAGE_LIMIT))
    conditions = await conditions_of(uow, wanted)
    entries = await repository.find(uow.session, *conditions, before=cursor, limit=limit + 1)
    items = [entry_out(entry) for entry in entries[:limit]]
    return AuditPage(items=items, next_cursor=str(items[-1].id) if len(entries) > limit else None)


def entry_out(entry: AuditEntry) -> AuditEntryOut:
    return AuditEntryOut(
        id=entry.id,
        action=entry.action,
        actor=entry.actor,
        user_id=entry.user_id,
        api_key_id=entry.api_key_id,
        target_type=entry.target_type,
        target_id=entry.target_id,
        details=entry.details,
        created_at=entry.created_at,
    )
