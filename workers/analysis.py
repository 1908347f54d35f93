"""The work on one job: claim it, have it examined, record what came of it.

Claim and record are short transactions of their own; nothing is held in the database while the compute layer works.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import msgspec
import structlog

from app.db.uow import Store
from app.domain.failures import Failure
from app.domain.jobs import AnalysisScope, JobState
from app.domain.preferences import Preferences
from app.domain.results import GenreResult
from app.integrations.outage import Outage
from app.metrics import JOBS_FINISHED, STAGE_DURATION
from app.services.analyses import (
    Claim,
    Summons,
    answer_ring,
    give_back,
    look_at,
    record_failure,
    record_progress,
    record_result,
)
from workers.examination import Examiner, Finding, Report, unexpected
from workers.gate import Gate
from workers.serving import LoadedModel
from workers.trouble import Unreachable, reaching

log = structlog.get_logger(__name__)

# A result is worth some patience with a database that is being restarted.
_RECORD_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
# Live enough for people, and few enough writes for the database.
_PROGRESS_EVERY_S = 1.0
# More of them would be no faster, and each has a decoder process and a file on the disk.
_WHOLE_RECORDINGS_AT_ONCE = 2


class Models(Protocol):
    def in_use(self) -> AbstractAsyncContextManager[LoadedModel]:
        """The model for a new job, kept until the context ends."""
        ...


def _tell_nobody(job_id: uuid.UUID, finding: Finding) -> None:
    """Nobody else wants to know of results."""


def _count(claim: Claim, result: GenreResult) -> None:
    JOBS_FINISHED.labels(claim.kind, JobState.DONE, "").inc()
    lane = "bulk" if claim.bulk else "urgent"
    for stage, duration_ms in msgspec.structs.asdict(result.timings_ms).items():
        STAGE_DURATION.labels(stage, lane).observe(duration_ms / 1000)


class Analyst:
    """Works on the jobs it is rung for, and knows which it is at.

    Args:
        worker_id: whose claims these are.
        store: the database.
        examiner: finds out what there is to record.
        models: where a job gets its model from.
        lease_s: how long a claim holds without a sign of life.
        defaults: what holds where no admin has set anything.
    """

    def __init__(
        self,
        worker_id: uuid.UUID,
        store: Store,
        examiner: Examiner,
        *,
        models: Models,
        lease_s: float,
        defaults: Preferences,
    ) -> None:
        self.worker_id = worker_id
        self.lease_s = lease_s
        self.idle = asyncio.Event()
        self.idle.set()
        self.tell: Callable[[uuid.UUID, Finding], None] = _tell_nobody
        self._store = store
        self._examiner = examiner
        self._models = models
        self._defaults = defaults
        self._gate = Gate()
        self._whole_recordings = asyncio.Semaphore(_WHOLE_RECORDINGS_AT_ONCE)
        self._work: dict[uuid.UUID, asyncio.Task[Finding | Failure]] = {}
        self._answers: dict[uuid.UUID, uuid.UUID] = {}  # which job is worked on for which ring
        self._moved_s: dict[uuid.UUID, float] = {}  # when each of them last made progress
        self._closed = False
        self._database = Outage("database")

    @property
    def job_ids(self) -> list[uuid.UUID]:
        """The jobs this worker is at."""
        return list(self._work)

    @property
    def still_s(self) -> float:
        """The longest time for which one of its jobs has made no progress."""
        return time.monotonic() - min(self._moved_s.values(), default=time.monotonic())

    def drop(self, job_id: uuid.UUID) -> None:
        """Stop working on a job, because it is no longer ours. One that is being recorded is let be."""
        if task := self._work.get(job_id):
            task.cancel()

    def close(self) -> None:
        """Take no more jobs."""
        self._closed = True

    def release(self, rings: Iterable[str]) -> None:
        """Give back the jobs that are not finished and were taken for these rings, and take no more."""
        self.close()
        for ring in rings:
            if job_id := self._answers.get(uuid.UUID(ring)):
                self.drop(job_id)

    async def handle(self, ring: uuid.UUID) -> None:
        """Do the job that was rung for, or another one of its lane whose turn it is, if there is any.

        Whatever goes wrong is settled here: the queue has nothing to repeat.
        """
        try:
            with reaching(self._database):
                async with self._store.reading() as uow:
                    summons = await look_at(uow, ring)
            if summons is not None:
                async with self._admitted(summons):
                    await self._answer(summons)
        except Unreachable:
            return  # the sweep rings again, or takes the lease away

    async def _answer(self, summons: Summons) -> None:
        claim = await self._claim(summons)
        if claim is None:
            return
        self._answers[summons.job_id] = claim.job_id
        try:
            with structlog.contextvars.bound_contextvars(job_id=str(claim.job_id)):
                await self._work_on(claim)
        finally:
            self._answers.pop(summons.job_id, None)

    @asynccontextmanager
    async def _admitted(self, summons: Summons) -> AsyncIterator[None]:
        """Wait for the moment at which a job may begin. Whole recordings are too long to be alone; they step aside instead."""
        if summons.scope is AnalysisScope.FULL:
            async with self._whole_recordings, self._gate.together():
                yield
        else:
            async with self._gate.alone() if summons.lost else self._gate.together():
                yield

    async def _claim(self, summons: Summons) -> Claim | None:
        if self._closed:
            return None
        with reaching(self._database):
            async with self._store.writing() as uow:
                return await answer_ring(uow, summons, worker_id=self.worker_id, lease_s=self.lease_s)

    async def _work_on(self, claim: Claim) -> None:
        task = asyncio.create_task(self._examine(claim), name=f"job {claim.job_id}")
        self._work[claim.job_id] = task
        self._moved_s[claim.job_id] = time.monotonic()
        self.idle.clear()
        try:
            await asyncio.wait({task})
            if task.cancelled():
                await self._give_back(claim)
            else:
                await self._record(claim, task.result())
        except Unreachable:
            await self._give_back(claim)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            await self._give_back(claim)
            raise
        finally:
            del self._work[claim.job_id], self._moved_s[claim.job_id]
            if not self._work:
                self.idle.set()

    async def _examine(self, claim: Claim) -> Finding | Failure:
        async with self._models.in_use() as model:
            return await self._examiner.examine(claim, model, self._reporter(claim))

    def _reporter(self, claim: Claim) -> Report:
        """Notes how far a long analysis has got, and lets those pass who wait to be alone."""
        noted_s = time.monotonic()

        async def report(progress: float | None) -> None:
            nonlocal noted_s
            await self._gate.step_aside()
            self._moved_s[claim.job_id] = time.monotonic()
            if progress is None or time.monotonic() - noted_s < _PROGRESS_EVERY_S:
                return
            noted_s = time.monotonic()
            if not await self._note_progress(claim, progress):
                self.drop(claim.job_id)
                await asyncio.sleep(0)  # where the cancellation arrives

        return report

    async def _note_progress(self, claim: Claim, progress: float) -> bool:
        """False if the job is no longer ours."""
        try:
            with reaching(self._database):
                async with self._store.writing() as uow:
                    return await record_progress(uow, claim, progress)
        except Unreachable:
            return True  # as far as we know; the result is what matters

    async def _record(self, claim: Claim, outcome: Finding | Failure) -> None:
        for delay_s in _RECORD_DELAYS_S:
            try:
                return await self._record_once(claim, outcome)
            except Unreachable:
                await asyncio.sleep(delay_s)
            except Exception as error:  # noqa: BLE001  what can't be recorded is a failure that can
                outcome = unexpected(error)
        raise Unreachable

    async def _record_once(self, claim: Claim, outcome: Finding | Failure) -> None:
        if isinstance(outcome, Failure):
            await self._record_failure(claim, outcome)
        else:
            await self._record_finding(claim, outcome)

    async def _record_failure(self, claim: Claim, failure: Failure) -> None:
        with reaching(self._database):
            async with self._store.writing() as uow:
                unwanted_key = await record_failure(uow, claim, failure)
        log.info("job failed", code=failure.code)
        JOBS_FINISHED.labels(claim.kind, JobState.FAILED, failure.code).inc()
        if unwanted_key is not None:
            await self._examiner.delete(unwanted_key)

    async def _record_finding(self, claim: Claim, finding: Finding) -> None:
        result = finding.result
        with reaching(self._database):
            async with self._store.writing() as uow:
                ours = await record_result(
                    uow, claim, result, finding.facts, defaults=self._defaults, model_id=finding.model_id
                )
        log.info("job done", genre=result.top1.genre, total_ms=round(result.timings_ms.total))
        if ours:
            _count(claim, result)
            self.tell(claim.job_id, finding)

    async def _give_back(self, claim: Claim) -> None:
        """Return the job to the queue; does nothing to one that is no longer ours."""
        try:
            with reaching(self._database):
                async with self._store.writing() as uow:
                    await give_back(uow, claim)
        except Unreachable:
            return  # the lease ends by itself
