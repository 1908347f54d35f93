"""The audit log: who did what to what, written in the transaction in which it was done."""

from __future__ import annotations

import uuid
from typing import Any

from app.db.models import AuditEntry
from app.db.uow import UnitOfWork
from app.domain.permissions import Principal


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
