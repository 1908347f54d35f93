"""The unit of work: one transaction, and what is to be said to the outside once it is committed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, Self

from anyio import CancelScope
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import Database
from app.db.models import Job
from app.db.vault import Vault
from app.domain.jobs import is_bulk


@dataclass(frozen=True, slots=True)
class Wakeup:
    """A job that a worker should look at. ``attempt`` makes the queue's id of it unique; ``bulk`` lets others go first."""

    job_id: uuid.UUID
    attempt: int
    bulk: bool = False

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(job.id, job.attempt, is_bulk(job.scope, job.batch_id))


class Outside(Protocol):
    """The queue and the live progress. Both are doorbells: they never raise, the database is the truth."""

    async def wake(self, wakeups: list[Wakeup]) -> None: ...

    async def tell(self, changed_jobs: list[uuid.UUID]) -> None: ...


@dataclass(slots=True)
class UnitOfWork:
    """A session and the jobs to ring for after the commit. Services take it; only its context manager commits.

    ``keys`` is the database's vault; None where no secret is to be read or written.
    """

    session: AsyncSession
    keys: Vault | None = None
    wakeups: list[Wakeup] = field(default_factory=list)
    changed_jobs: list[uuid.UUID] = field(default_factory=list)

    @property
    def vault(self) -> Vault:
        if self.keys is None:
            raise RuntimeError("the database was opened without the key to its secrets")
        return self.keys


@dataclass(frozen=True, slots=True)
class Store:
    """Makes units of work: ``writing`` commits at its end and then rings, ``reading`` sees one state and writes nothing."""

    database: Database
    outside: Outside

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[UnitOfWork]:
        async with self.database.writing() as session:
            uow = UnitOfWork(session, self.database.vault)
            yield uow
        if uow.wakeups:
            await self.outside.wake(uow.wakeups)
        if uow.changed_jobs:
            await self.outside.tell(uow.changed_jobs)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[UnitOfWork]:
        async with self.database.reading() as session:
            yield UnitOfWork(session, self.database.vault)

    @asynccontextmanager
    async def uncut_reading(self) -> AsyncIterator[UnitOfWork]:
        """For streams: a reader who leaves cancels the stream, but a query cut off would leave its connection open."""
        with CancelScope(shield=True):
            async with self.reading() as uow:
                yield uow
