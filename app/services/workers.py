"""The worker processes: they say that they live, and the portal and the health check ask."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select

from app.db.models import Worker
from app.db.uow import UnitOfWork
from app.domain.ids import utc_now
from app.domain.workers import WORKER_GONE_AFTER_S, WorkerState

_FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WorkersStatus:
    """Can queued jobs be worked on? If not, ``message`` says why, in the words of the last worker that failed."""

    ready: int
    starting: int
    message: str | None


async def report_worker(
    uow: UnitOfWork,
    worker_id: uuid.UUID,
    state: WorkerState,
    *,
    message: str | None = None,
    model_id: uuid.UUID | None = None,
) -> None:
    """Write the worker's sign of life."""
    worker = await uow.session.get(Worker, worker_id)
    if worker is None:
        worker = Worker(id=worker_id, host=socket.gethostname(), pid=os.getpid())
        uow.session.add(worker)
    worker.state, worker.message, worker.model_id, worker.seen_at = state, message, model_id, utc_now()


async def remove_worker(uow: UnitOfWork, worker_id: uuid.UUID) -> None:
    await uow.session.execute(delete(Worker).where(Worker.id == worker_id))


async def workers_status(uow: UnitOfWork) -> WorkersStatus:
    """The workers heard of lately; failures count until a later worker gets ready."""
    alive_since = utc_now() - timedelta(seconds=WORKER_GONE_AFTER_S)
    query = select(Worker).where(Worker.seen_at > alive_since).order_by(Worker.seen_at)
    workers = (await uow.session.scalars(query)).all()
    states = [worker.state for worker in workers]
    messages = [worker.message for worker in workers if worker.state is WorkerState.FAILED]
    ready = states.count(WorkerState.READY)
    return WorkersStatus(ready, states.count(WorkerState.STARTING), None if ready or not messages else messages[-1])


async def is_worker_ready(uow: UnitOfWork, host: str) -> bool:
    """Is a worker on this machine ready, by its last sign of life?"""
    alive_since = utc_now() - timedelta(seconds=WORKER_GONE_AFTER_S)
    query = select(Worker.id).where(
        Worker.host == host, Worker.state == WorkerState.READY, Worker.seen_at > alive_since
    )
    return (await uow.session.scalars(query.limit(1))).one_or_none() is not None


async def forget_old_workers(uow: UnitOfWork) -> None:
    await uow.session.execute(delete(Worker).where(Worker.seen_at < utc_now() - _FORGET_AFTER))
