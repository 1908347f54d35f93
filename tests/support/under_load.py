"""A service under load, and what must hold at the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import func, select

from app.db.models import Job
from app.domain.failures import FailureCode
from app.domain.jobs import JobState
from app.resources import Resources
from app.services.models import NewModel
from app.services.workers import workers_status
from tests.support.invariants import (
    assert_events_delivered,
    assert_jobs_ended_once,
    assert_storage_matches,
    until_delivered,
    until_ended,
)
from tests.support.load import Load, restful
from tests.support.receiver import Receiver, receiver
from tests.support.service import STAND_IN, Service, admit_program, prepared


@dataclass
class UnderLoad:
    """A service at work: what a test does to it happens while uploads come in."""

    service: Service
    parts: Resources
    receiver: Receiver
    load: Load

    async def until_workers(self, count: int) -> None:
        """Until so many are ready. Nothing tells of a worker's start but its row, so this asks again and again."""
        ready = 0
        async with asyncio.timeout(60):
            while ready < count:
                await asyncio.sleep(0.1)
                async with self.parts.store.reading() as uow:
                    ready = (await workers_status(uow)).ready

    async def until_done(self, count: int) -> None:
        """Until so many jobs have a result."""
        done = select(func.count()).select_from(Job).where(Job.state == JobState.DONE)
        found = 0
        async with asyncio.timeout(300):
            while found < count:
                await asyncio.sleep(0.1)
                async with self.parts.store.reading() as uow:
                    found = await uow.session.scalar(done) or 0

    async def ended(self, reasons: Collection[FailureCode] = ()) -> Counter[JobState]:
        """The load comes to its end, and all of it has ended once: so many jobs in each state."""
        await self.load.end()
        await until_ended(self.parts)
        return await assert_jobs_ended_once(self.parts, self.load.accepted.values(), reasons)

    async def assert_nothing_lost(self, reasons: Collection[FailureCode] = ()) -> Counter[JobState]:
        """And all is told, is stored, and leaves nothing behind."""
        states = await self.ended(reasons)
        await until_delivered(self.parts)
        await assert_events_delivered(self.parts, self.receiver)
        await self.service.stop()
        folder = None if self.service.settings.storage_url else self.service.settings.storage_dir
        await assert_storage_matches(self.parts, folder)
        self.service.assert_no_unforeseen_fault()
        return states


@asynccontextmanager
async def under_load(
    service: Service, *, content: Callable[[int], bytes] = restful, model: NewModel = STAND_IN
) -> AsyncIterator[UnderLoad]:
    """The service, started and ready; the load has not begun."""
    async with prepared(service, model) as parts, receiver() as target:
        key = await admit_program(parts, target)
        await service.start()
        load = Load([service.base_url], key, content=content)
        it = UnderLoad(service, parts, target, load)
        yield it
        load.stop()
