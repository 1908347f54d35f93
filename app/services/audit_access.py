"""Who listened to or fetched which recording: once an hour for each caller and recording, not for each part of the file."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from datetime import datetime

from sqlalchemy import exists, select

from app.db.models import AuditEntry
from app.db.uow import Store, UnitOfWork
from app.domain.ids import first_id_of, utc_now
from app.domain.permissions import Principal
from app.services import audit

ACTION = "audio.access"
_REMEMBERED = 10_000

_Access = tuple[str, uuid.UUID, datetime]


class AccessLog:
    """Writes each access down before the audio is sent; remembers the last ones, so that seeking costs no transaction."""

    def __init__(self) -> None:
        self._written: OrderedDict[_Access, None] = OrderedDict()

    async def note(self, store: Store, principal: Principal, job_id: uuid.UUID) -> None:
        """Whatever goes wrong here keeps the audio back: no access without its entry."""
        hour = utc_now().replace(minute=0, second=0, microsecond=0)
        access = (principal.ident, job_id, hour)
        if access in self._written:
            return
        async with store.writing() as uow:
            await _record(uow, principal, job_id, hour)
        self._written[access] = None
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)


async def _record(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID, hour: datetime) -> None:
    """Unless another process has written it down already."""
    known = exists().where(
        AuditEntry.target_id == str(job_id),
        AuditEntry.id >= first_id_of(hour),
        AuditEntry.action == ACTION,
        AuditEntry.user_id.is_not_distinct_from(principal.user_id),
        AuditEntry.api_key_id.is_not_distinct_from(principal.api_key_id),
    )
    if not await uow.session.scalar(select(known)):
        audit.record(uow, principal, ACTION, target_type="job", target_id=job_id)
