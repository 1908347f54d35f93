"""What happened, recorded in the transaction in which it happened: the only way an event comes about.

With the event its deliveries to webhooks are written: either all of it is there after the commit, or nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select

from app.db.models import Batch, Event, Job
from app.db.uow import UnitOfWork
from app.domain.ids import new_id, utc_now
from app.domain.jobs import EventType
from app.domain.views import JobOut
from app.domain.webhook_views import BatchEnd, EventMessage
from app.domain.webhooks import PUBLISHED
from app.services.deliveries import enqueue
from app.services.job_views import views


async def record_event(
    uow: UnitOfWork,
    event_type: EventType,
    *,
    job_id: uuid.UUID | None = None,
    batch_id: uuid.UUID | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    await _record(uow, [_event(event_type, job_id=job_id, batch_id=batch_id, data=data or {})])


async def record_job_events(uow: UnitOfWork, event_type: EventType, job_ids: Sequence[uuid.UUID]) -> None:
    """The same for many jobs at once."""
    await _record(uow, [_event(event_type, job_id=job_id, batch_id=None, data={}) for job_id in job_ids])


def _event(
    event_type: EventType, *, job_id: uuid.UUID | None, batch_id: uuid.UUID | None, data: dict[str, Any]
) -> Event:
    now = utc_now()
    return Event(
        id=new_id(), type=event_type, job_id=job_id, batch_id=batch_id, data=data, private=False, created_at=now
    )


async def _record(uow: UnitOfWork, events: Sequence[Event]) -> None:
    published = [event for event in events if event.type in PUBLISHED]
    if published:
        await uow.session.flush()  # what is told of a job is read from the database
        batches = await _describe(uow, published)
        uow.session.add_all(events)
        await uow.session.flush()  # deliveries refer to their events
        await enqueue(uow, [event for event in published if event.payload is not None], batches)
    else:
        uow.session.add_all(events)


async def _describe(uow: UnitOfWork, events: Sequence[Event]) -> dict[uuid.UUID, Batch]:
    """Write into the events what the outside is told, and whose it is; returns the batches they belong to."""
    jobs = await _jobs(uow, [event.job_id for event in events if event.job_id])
    for event in events:
        job = jobs.get(event.job_id) if event.job_id else None
        event.batch_id = job.batch_id if job else event.batch_id
    batches = await _batches(uow, {event.batch_id for event in events if event.batch_id})
    for event in events:
        job = jobs.get(event.job_id) if event.job_id else None
        batch = batches.get(event.batch_id) if event.batch_id else None
        event.private = batch is not None and batch.private
        about = _without_windows(job) if job else _batch_end(batch, event.data) if batch else None
        event.payload = _encode(event, about) if about is not None else None
    return batches


async def _jobs(uow: UnitOfWork, job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, JobOut]:
    if not job_ids:
        return {}
    query = select(Job).where(Job.id.in_(job_ids)).execution_options(populate_existing=True)
    found = (await uow.session.scalars(query)).unique().all()
    return {job.id: job for job in await views(uow, found)}


async def _batches(uow: UnitOfWork, batch_ids: set[uuid.UUID]) -> dict[uuid.UUID, Batch]:
    if not batch_ids:
        return {}
    return {batch.id: batch for batch in await uow.session.scalars(select(Batch).where(Batch.id.in_(batch_ids)))}


def _without_windows(job: JobOut) -> JobOut:
    """A recording of hours has thousands of them; who wants them gets the job."""
    if job.result is None:
        return job
    return msgspec.structs.replace(job, result=msgspec.structs.replace(job.result, windows=[]))


def _batch_end(batch: Batch, counts: dict[str, Any]) -> BatchEnd:
    return BatchEnd(
        id=batch.id,
        name=batch.name,
        done=counts.get("done", 0),
        failed=counts.get("failed", 0),
        cancelled=counts.get("cancelled", 0),
    )


def _encode(event: Event, about: JobOut | BatchEnd | dict[str, str]) -> str:
    message = EventMessage(type=event.type, timestamp=event.created_at, data=about)
    return msgspec.json.encode(message).decode()


async def record_test(uow: UnitOfWork) -> Event:
    """An event that says nothing, for trying out an endpoint; it is in no feed."""
    event = _event(EventType.WEBHOOK_TEST, job_id=None, batch_id=None, data={})
    event.payload = _encode(event, {"message": "This is a test. Nothing has happened."})
    uow.session.add(event)
    await uow.session.flush()
    return event
