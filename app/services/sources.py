"""Recordings that are still to be fetched from an address: a list of them, which are due, and what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from sqlalchemy import CursorResult, insert, select, update

from app.db.models import Job, Source
from app.db.repositories import assets
from app.db.repositories import jobs as repository
from app.db.uow import UnitOfWork
from app.domain.addresses import IntranetHosts
from app.domain.failures import Failure
from app.domain.ids import new_id, utc_now
from app.domain.jobs import EventType, JobState, Lane
from app.domain.media import clean_name
from app.domain.permissions import Principal
from app.domain.submissions import JobOptions
from app.integrations.addresses import check_url
from app.services import batches
from app.services.events import record_event, record_job_events

# Whoever fetches has so long; a process that died over it is followed by another one then.
LEASE = timedelta(minutes=10)
# Between tries to reach a host that does not answer.
DELAYS_S = (5, 30, 120)


@dataclass(frozen=True, slots=True)
class NewSource:
    """A recording to be fetched from an address that has been checked already. Without a name it has that of the address."""

    url: str
    options: JobOptions
    name: str | None = None


async def add_sources(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID, wanted: Sequence[NewSource]) -> None:
    """Jobs of a batch in the order of ``wanted``, in as many statements for a hundred as for one.

    Raises:
        BatchNotFound, Forbidden
    """
    await batches.admit(uow, principal, batch_id)
    ids = [(new_id(), new_id()) for _ in wanted]
    names = [(asset_id, name_of(new.url, new.name)) for (_, asset_id), new in zip(ids, wanted, strict=True)]
    await assets.insert_named(uow.session, names)
    owner = {"batch_id": batch_id, "user_id": principal.user_id, "api_key_id": principal.api_key_id}
    jobs = [
        {"id": job_id, "asset_id": asset_id, **owner, **_job_values(batch_id, new.options)}
        for (job_id, asset_id), new in zip(ids, wanted, strict=True)
    ]
    await uow.session.execute(insert(Job), jobs)
    due_at = utc_now()
    rows = [
        {"job_id": job_id, "url": new.url, "force": new.options.force, "due_at": due_at}
        for (job_id, _), new in zip(ids, wanted, strict=True)
    ]
    await uow.session.execute(insert(Source), rows)
    job_ids = [job_id for job_id, _ in ids]
    await record_job_events(uow, EventType.JOB_CREATED, job_ids)
    uow.changed_jobs.extend(job_ids)


def name_of(url: str, name: str | None) -> str:
    """The file name that a recording gets before it is here."""
    return clean_name(name or unquote(urlsplit(url).path).rstrip("/"))


def _job_values(batch_id: uuid.UUID, options: JobOptions) -> dict[str, Any]:
    return {
        "kind": options.kind,
        "scope": options.scope,
        "lane": Lane.of(options.scope, batch_id),
        "attributes": options.attributes,
    }


@dataclass(frozen=True, slots=True)
class DueSource:
    """An address to fetch the recording of a job from, now."""

    job_id: uuid.UUID
    asset_id: uuid.UUID
    url: str
    name: str
    attempt: int


def check_source(url: str, intranet: IntranetHosts) -> None:
    """
    Raises:
        UrlRefused, AddressRefused: the address can't or must not be called.
    """
    check_url(url, intranet)


async def take_due_sources(uow: UnitOfWork, limit: int) -> list[DueSource]:
    """The oldest ones; of several processes that ask at the same time each gets others."""
    now = utc_now()
    query = (
        select(Source, Job)
        .join(Job, Job.id == Source.job_id)
        .where(Source.due_at <= now, Job.state == JobState.QUEUED)
        .order_by(Source.due_at)
        .limit(limit)
    )
    found = (await uow.session.execute(query)).unique().all()
    return [
        DueSource(job.id, job.asset_id, source.url, job.asset.name, source.attempt)
        for source, job in found
        if await _take(uow, source, now)
    ]


async def _take(uow: UnitOfWork, source: Source, now: datetime) -> bool:
    """Conditional: whoever is first moves the time, and the others find it moved."""
    statement = update(Source).where(Source.job_id == source.job_id, Source.due_at == source.due_at)
    values = {"due_at": now + LEASE, "attempt": source.attempt + 1}
    result = cast(
        "CursorResult[Any]",
        await uow.session.execute(statement.values(values), execution_options={"synchronize_session": False}),
    )
    return result.rowcount == 1


async def try_again_or_fail(uow: UnitOfWork, due: DueSource, failure: Failure) -> None:
    """The host may be back soon; after some tries the job fails."""
    if due.attempt < len(DELAYS_S):
        due_at = utc_now() + timedelta(seconds=DELAYS_S[due.attempt])
        await uow.session.execute(update(Source).where(Source.job_id == due.job_id).values(due_at=due_at))
    else:
        await fail_source(uow, due.job_id, failure)


async def fail_source(uow: UnitOfWork, job_id: uuid.UUID, failure: Failure) -> None:
    """The job fails, if it still waits. Its address is kept for as long as trying again may help."""
    values = {
        "state": JobState.FAILED,
        "finished_at": utc_now(),
        "error": {"code": failure.code, "params": failure.params},
    }
    await uow.session.execute(update(Source).where(Source.job_id == job_id).values(due_at=None))
    if not await repository.change_state(uow.session, job_id, [JobState.QUEUED], **values):
        return
    job = await repository.get(uow.session, job_id)
    assert job is not None
    uow.changed_jobs.append(job_id)
    await record_event(uow, EventType.JOB_FAILED, job_id=job_id, data={"code": failure.code})
    await batches.settle(uow, job.batch_id)
    if failure.words.final:
        source = await uow.session.get(Source, job_id)
        await uow.session.delete(source)


async def fetch_again(uow: UnitOfWork, job_id: uuid.UUID) -> bool:
    """For a job that is tried again: is its recording still to be fetched? Then it is fetched from now on."""
    result = cast(
        "CursorResult[Any]",
        await uow.session.execute(
            update(Source).where(Source.job_id == job_id).values(due_at=utc_now(), attempt=0),
            execution_options={"synchronize_session": False},
        ),
    )
    return result.rowcount == 1
