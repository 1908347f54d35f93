"""What happened, recorded in the transaction in which it happened: the only way an event comes about."""

from __future__ import annotations

import uuid
from typing import Any

from app.db.models import Event
from app.db.uow import UnitOfWork
from app.domain.jobs import EventType


async def record_event(
    uow: UnitOfWork,
    event_type: EventType,
    *,
    job_id: uuid.UUID | None = None,
    batch_id: uuid.UUID | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    uow.session.add(Event(type=event_type, job_id=job_id, batch_id=batch_id, data=data or {}))
