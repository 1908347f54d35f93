"""Which of the files that somebody is about to send to a batch are already here."""

from __future__ import annotations

import enum
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import select

from app.db.models import Asset, Job
from app.db.repositories.batches import get_visible
from app.db.repositories.jobs import visible_to
from app.db.uow import UnitOfWork
from app.domain.jobs import JobState
from app.domain.media import clean_name
from app.domain.permissions import Principal
from app.errors import BatchNotFound

FILES_LIMIT = 500


class LocalFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file on somebody's disk. A browser can compute the hash only over https or on this very machine."""

    name: Annotated[str, Meta(max_length=1000)]
    size_bytes: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None


class Arrival(enum.StrEnum):
    """arrived: this file is in the batch. duplicate: its content is here already, under another name or elsewhere."""

    NEW = "new"
    ARRIVED = "arrived"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a local file; of a duplicate also the job that has its content."""

    arrival: Arrival
    job_id: uuid.UUID | None = None
    name: str | None = None
    genre: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class _Here:
    job_id: uuid.UUID
    in_batch: bool
    name: str
    size_bytes: int | None
    sha256: str | None
    genre: str | None
    probability: float | None


async def _here(uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID, files: Sequence[LocalFile]) -> list[_Here]:
    """Recordings of the batch with one of the names; and those with one of the contents, wherever they are."""
    in_batch = Job.batch_id == batch_id
    hashes = {file.sha256 for file in files if file.sha256}
    names = {clean_name(file.name) for file in files}
    usable = Job.state.not_in((JobState.FAILED, JobState.CANCELLED))
    found: dict[uuid.UUID, _Here] = {}
    for condition in (in_batch & Asset.name.in_(names), Asset.sha256.in_(hashes) & usable):
        query = (
            select(Job.id, in_batch, Asset.name, Asset.size_bytes, Asset.sha256, Job.genre, Job.probability)
            .join(Asset, Asset.id == Job.asset_id)
            .where(visible_to(principal), condition)
            .order_by(Job.id.desc())
        )
        found.update({row[0]: _Here(row[0], bool(row[1]), *row[2:]) for row in await uow.session.execute(query)})
    return list(found.values())


def _is_it(file: LocalFile, here: _Here) -> bool:
    """The same file, as far as the browser could tell: by its hash, or else by its size."""
    if here.name != clean_name(file.name) or here.size_bytes != file.size_bytes:
        return False
    return file.sha256 is None or here.sha256 == file.sha256


def _judge(file: LocalFile, here: Sequence[_Here]) -> Known:
    if any(one.in_batch and _is_it(file, one) for one in here):
        return Known(Arrival.ARRIVED)
    same = [one for one in here if file.sha256 and one.sha256 == file.sha256]
    if not same:
        return Known(Arrival.NEW)
    found = next((one for one in same if one.genre), same[0])
    return Known(Arrival.DUPLICATE, found.job_id, found.name, found.genre, found.probability)


async def known_files(
    uow: UnitOfWork, principal: Principal, batch_id: uuid.UUID, files: Sequence[LocalFile]
) -> list[Known]:
    """One answer for each file, in their order. At most FILES_LIMIT files.

    Raises:
        BatchNotFound
    """
    if await get_visible(uow.session, principal, batch_id) is None:
        raise BatchNotFound
    here = await _here(uow, principal, batch_id, files)
    by_name, by_content = defaultdict(list), defaultdict(list)
    for one in here:
        by_name[one.name].append(one)
        by_content[one.sha256].append(one)
    return [
        _judge(file, [*by_name[clean_name(file.name)], *(by_content[file.sha256] if file.sha256 else ())])
        for file in files
    ]
