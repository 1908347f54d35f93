"""A worker's sign of life: one task renews all leases and reports the worker."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import structlog

from app.db.uow import Store
from app.domain.workers import WorkerState
from app.integrations.outage import Outage
from app.services.analyses import renew_leases
from app.services.workers import remove_worker, report_worker
from workers.analysis import Analyst
from workers.serving import Serving
from workers.trouble import Unreachable, reaching

log = structlog.get_logger(__name__)

# Of four beats within a lease, three may get lost.
_BEATS_PER_LEASE = 4


class Heartbeat:
    """Beats until it is stopped. ``state`` is what the worker says of itself."""

    def __init__(self, worker_id: uuid.UUID, store: Store, *, lease_s: float) -> None:
        self.state = WorkerState.STARTING
        self._analyst: Analyst | None = None
        self._serving: Serving | None = None
        self._worker_id = worker_id
        self._store = store
        self._lease_s = lease_s
        self._database = Outage("database (heartbeat)")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.beat()
        self._task = asyncio.create_task(self._keep_beating(), name="heartbeat")

    async def serve(self, analyst: Analyst, serving: Serving) -> None:
        """From now on the worker is ready, and the leases of the analyst's jobs are renewed."""
        self._analyst, self._serving, self.state = analyst, serving, WorkerState.READY
        await self.beat()

    async def stop(self) -> None:
        """Beat no more and take the worker off the list."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        with contextlib.suppress(Unreachable), reaching(self._database):
            async with self._store.writing() as uow:
                await remove_worker(uow, self._worker_id)

    async def beat(self) -> None:
        """Report, renew, and drop the jobs that were cancelled or taken away meanwhile."""
        analyst, serving = self._analyst, self._serving
        model_id, trouble = (serving.current.id, serving.trouble) if serving else (None, None)
        held = analyst.job_ids if analyst else []
        try:
            with reaching(self._database):
                async with self._store.writing() as uow:
                    await report_worker(uow, self._worker_id, self.state, message=trouble, model_id=model_id)
                    kept = await renew_leases(uow, self._worker_id, held, lease_s=self._lease_s)
        except Unreachable:
            return
        if analyst is not None:
            for job_id in set(held) - kept:
                analyst.drop(job_id)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / _BEATS_PER_LEASE)
            try:
                await self.beat()
            except Exception:  # without a heart the worker would go on and lose every job
                log.exception("a heartbeat failed")
