"""What the virus scanner has refused is written down."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.uow import Store, UnitOfWork
from app.domain.permissions import Principal, Role
from app.errors import FileInfected
from app.services import audit

EARMARK = Principal("Earmark", Role.ADMIN)


def record_infection(uow: UnitOfWork, principal: Principal, signature: str, *, job_id: uuid.UUID | None = None) -> None:
    """``principal`` sent the file, or Earmark fetched it for a job."""
    target_type = None if job_id is None else "job"
    details = {"signature": signature}
    audit.record(uow, principal, "upload.refuse", target_type=target_type, target_id=job_id, details=details)


@asynccontextmanager
async def infections_audited(store: Store, principal: Principal) -> AsyncIterator[None]:
    """Around the receiving of a file of ``principal``, with no transaction open."""
    try:
        yield
    except FileInfected as error:
        async with store.writing() as uow:
            record_infection(uow, principal, str(error.params["signature"]))
        raise
