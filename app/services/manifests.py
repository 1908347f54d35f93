"""Adding to a batch by a manifest, in transactions of a bounded size, each of which happens once."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import select

from app.db.models import DirectUpload, IdempotentAnswer
from app.db.uow import Store, UnitOfWork
from app.domain.addresses import IntranetHosts
from app.domain.manifests import ManifestLine, Numbered, manifest_invalid
from app.domain.permissions import Principal
from app.domain.submissions import JobOptions
from app.domain.views import JobOut
from app.errors import AddressRefused, LineFault, UrlRefused
from app.integrations.addresses import check_url
from app.integrations.files import Files
from app.services import batches
from app.services.idempotency import KeptAnswer, earlier_answer, keep_answer
from app.services.sources import NewSource, add_sources
from app.services.submissions import copy_picture, submit_direct_upload

_STEP = 100

Read = Callable[[bytes], list[Numbered]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs and their files are kept."""

    store: Store
    files: Files


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is to be added. ``sha256``: of the whole text."""

    lines: Sequence[Numbered]
    sha256: str


async def read_manifest(content: bytes, read: Read, intranet: IntranetHosts) -> Manifest:
    """``intranet``: the hosts in it that may be called beside public ones.

    Raises:
        ManifestInvalid: says what is wrong in which line.
    """
    lines = await asyncio.to_thread(_checked, content, read, intranet)
    return Manifest(lines, hashlib.sha256(content).hexdigest())


async def add_by_manifest(
    place: Place, principal: Principal, batch_id: uuid.UUID, manifest: Manifest, *, key: str | None
) -> None:
    """A job for each line, or none at all if any line is wrong.

    With a ``key`` (the caller's Idempotency-Key) the same manifest can be sent again after a failure on the way: what has
    been added is not added again.

    Raises:
        ManifestInvalid, BatchNotFound, Forbidden, IdempotencyKeyReused
    """
    steps = _steps(manifest, batch_id, key)
    async with place.store.reading() as uow:
        await batches.check_own(uow, principal, batch_id)
        done = await _done(uow, principal, steps)
        await _check_uploads(uow, principal, [line for step in steps if step.key not in done for line in step.lines])
    for step in steps:
        async with place.store.writing() as uow:
            jobs = await _take(uow, principal, batch_id, step)
        for job in jobs:
            if job.deduplicated:
                await copy_picture(place.store, place.files, job.id)


@dataclass(frozen=True, slots=True)
class _Step:
    """Some lines that are added together. ``key`` is their own Idempotency-Key."""

    lines: Sequence[Numbered]
    key: str | None
    fingerprint: str


def _steps(manifest: Manifest, batch_id: uuid.UUID, key: str | None) -> list[_Step]:
    fingerprint = hashlib.sha256(f"{batch_id} {manifest.sha256}".encode()).hexdigest()
    return [
        _Step(
            manifest.lines[start : start + _STEP],
            f"{_digest(key)}/{start}" if key else None,
            fingerprint,
        )
        for start in range(0, len(manifest.lines), _STEP)
    ]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


# --- checks


def _checked(content: bytes, read: Read, intranet: IntranetHosts) -> list[Numbered]:
    lines = read(content)
    faults = []
    for number, line in lines:
        try:
            if line.source_url is not None:
                check_url(line.source_url, intranet)
        except (UrlRefused, AddressRefused) as error:
            faults.append(LineFault(number, str(error), "source_url"))
    if faults:
        raise manifest_invalid(faults)
    return lines


async def _check_uploads(uow: UnitOfWork, principal: Principal, lines: Sequence[Numbered]) -> None:
    complete: dict[uuid.UUID, bool] = {}
    wanted = [line.upload_id for _, line in lines if line.upload_id is not None]
    for start in range(0, len(wanted), _STEP):
        query = select(DirectUpload.id, DirectUpload.sha256.is_not(None)).where(
            DirectUpload.id.in_(wanted[start : start + _STEP]),
            DirectUpload.user_id.is_not_distinct_from(principal.user_id),
            DirectUpload.api_key_id.is_not_distinct_from(principal.api_key_id),
        )
        complete.update((row[0], row[1]) for row in await uow.session.execute(query))
    faults = [
        LineFault(number, "The upload is not complete" if line.upload_id in complete else "No such upload", "upload_id")
        for number, line in lines
        if line.upload_id is not None and not complete.get(line.upload_id)
    ]
    if faults:
        raise manifest_invalid(faults)


# --- adding


async def _done(uow: UnitOfWork, principal: Principal, steps: Sequence[_Step]) -> set[str]:
    """The keys of the steps that an earlier request has taken."""
    keys = [step.key for step in steps if step.key]
    query = select(IdempotentAnswer.key).where(
        IdempotentAnswer.caller == principal.ident, IdempotentAnswer.key.in_(keys)
    )
    return set(await uow.session.scalars(query))


async def _take(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID, step: _Step) -> list[JobOut]:
    """Returns the jobs of uploads, which may have been answered from earlier results already."""
    if step.key and await earlier_answer(uow, principal, step.key, step.fingerprint):
        return []
    jobs: list[JobOut] = []
    for of_uploads, lines in groupby((line for _, line in step.lines), key=lambda line: line.upload_id is not None):
        add = _add_uploads if of_uploads else _add_sources
        jobs += await add(uow, principal, batch_id, list(lines))
    if step.key:
        await keep_answer(uow, principal, step.key, KeptAnswer(status=202, body="null", location=None))
    return jobs


def _options(batch_id: uuid.UUID, line: ManifestLine) -> JobOptions:
    return JobOptions(scope=line.analyse, batch_id=batch_id, attributes=line.metadata, force=line.force)


async def _add_uploads(
    uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID, lines: Sequence[ManifestLine]
) -> list[JobOut]:
    return [
        await submit_direct_upload(uow, principal, line.upload_id, _options(batch_id, line))
        for line in lines
        if line.upload_id is not None
    ]


async def _add_sources(
    uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID, lines: Sequence[ManifestLine]
) -> list[JobOut]:
    wanted = [
        NewSource(line.source_url, _options(batch_id, line), line.name) for line in lines if line.source_url is not None
    ]
    await add_sources(uow, principal, batch_id, wanted)
    return []
