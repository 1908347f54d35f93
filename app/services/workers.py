"""The worker processes: they say that they live, and the portal and the health check ask."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select

from app.db.models import Model, Worker
from app.db.uow import UnitOfWork
from app.domain.ids import utc_now
from app.domain.views import WorkerOut
from app.domain.workers import WORKER_GONE_AFTER_S, WorkerState

_FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WorkersStatus:
    """Can queued jobs be worked on? If not, ``message`` says why, in the words of the last worker that failed.

    ``trouble``: why a worker that is ready can't do all that it should, such as go over to another model.
    """

    ready: int
    starting: int
    message: str | None
    trouble: str | None = None


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
    troubles = [worker.message for worker in workers if worker.state is WorkerState.READY and worker.message]
    ready = states.count(WorkerState.READY)
    return WorkersStatus(
        ready=ready,
        starting=states.count(WorkerState.STARTING),
        message=None if ready or not messages else messages[-1],
        trouble=troubles[-1] if troubles else None,
    )


async def list_workers(uow: UnitOfWork) -> list[WorkerOut]:
    """The workers heard of lately, and the model that each of them runs."""
    alive_since = utc_now() - timedelta(seconds=WORKER_GONE_AFTER_S)
    query = (
        select(Worker, Model)
        .outerjoin(Model, Model.id == Worker.model_id)
        .where(Worker.seen_at > alive_since)
        .order_by(Worker.host, Worker.started_at)
    )
    return [_worker_out(worker, model) for worker, model in await uow.session.execute(query)]


def _worker_out(worker: Worker, model: Model | None) -> WorkerOut:
    return WorkerOut(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        state=worker.state,
        message=worker.message,
        model=f"{model.name}/{model.version}" if model else None,
        started_at=worker.started_at,
        seen_at=worker.seen_at,
    )


async def is_worker_ready(uow: UnitOfWork, host: str) -> bool:
    """Is a worker on this machine ready, by its last sign of life?"""
    alive_since = utc_now() - timedelta(seconds=WORKER_GONE_AFTER_S)
    query = select(Worker.id).where(
        Worker.host == host, Worker.state == WorkerState.READY, Worker.seen_at > alive_since
    )
    return (await uow.session.scalars(query.limit(1))).one_or_none() is not None


async def forget_old_workers(uow: UnitOfWork) -> None:
    await uow.session.execute(delete(Worker).where(Worker.seen_at < utc_now() - _FORGET_AFTER))
