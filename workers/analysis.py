"""The work on one job: claim it, analyse its file, record what came of it.

Claim and record are short transactions of their own; nothing is held in the database while the compute layer works.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Protocol

import structlog

from app.db.uow import Store
from app.domain.failures import AnalysisFailed, Failure, FailureCode
from app.domain.keys import spectrogram_key
from app.domain.preferences import Preferences
from app.domain.results import GenreResult, ModelRef, Timings, genre_result
from app.inference.contracts import Analysis
from app.integrations.files import FileGone, Files
from app.integrations.outage import Outage
from app.services.analyses import (
    Claim,
    FileFacts,
    claim_job,
    give_back,
    lost_before,
    record_failure,
    record_result,
)
from workers.gate import Gate
from workers.trouble import Unreachable, reaching

log = structlog.get_logger(__name__)

# A result is worth some patience with a database that is being restarted.
_RECORD_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
# Before a job goes back to the queue because its file is out of reach.
_STORAGE_PAUSE_S = 5.0


class ModelUnavailable(Exception):
    """The active model can't be loaded; one sentence that says which file and what to do."""


class Analyser(Protocol):
    """The compute layer as a worker sees it."""

    async def analyse(self, content: bytes) -> Analysis:
        """Analyse one file.

        Raises:
            AnalysisFailed: this file can't be analysed; says why.
        """
        ...


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The model that this worker runs."""

    id: uuid.UUID
    ref: ModelRef
    analyser: Analyser


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be recorded of a file that could be analysed."""

    result: GenreResult
    facts: FileFacts


class Analyst:
    """Works on the jobs it is rung for, and knows which it is at."""

    def __init__(
        self,
        worker_id: uuid.UUID,
        store: Store,
        files: Files,
        *,
        model: LoadedModel,
        lease_s: float,
        defaults: Preferences,
    ) -> None:
        self.worker_id = worker_id
        self.lease_s = lease_s
        self._store = store
        self._files = files
        self._model = model
        self._defaults = defaults
        self._gate = Gate()
        self._work: dict[uuid.UUID, asyncio.Task[Finding | Failure]] = {}
        self._closed = False
        self._database = Outage("database")
        self._storage = Outage("storage")

    @property
    def job_ids(self) -> list[uuid.UUID]:
        """The jobs this worker is at."""
        return list(self._work)

    def drop(self, job_id: uuid.UUID) -> None:
        """Stop working on a job, because it is no longer ours. One that is being recorded is let be."""
        if task := self._work.get(job_id):
            task.cancel()

    def close(self) -> None:
        """Take no more jobs, and give back those that are not finished."""
        self._closed = True
        for task in self._work.values():
            task.cancel()

    async def handle(self, job_id: uuid.UUID) -> None:
        """Do the job if it is still waiting. Whatever goes wrong is settled here: the queue has nothing to repeat."""
        with structlog.contextvars.bound_contextvars(job_id=str(job_id)):
            try:
                with reaching(self._database):
                    async with self._store.reading() as uow:
                        suspect = await lost_before(uow, job_id)
                async with self._gate.alone() if suspect else self._gate.together():
                    claim = await self._claim(job_id)
                    if claim is not None:
                        await self._work_on(claim)
            except Unreachable:
                return  # the sweep rings again, or takes the lease away

    async def _claim(self, job_id: uuid.UUID) -> Claim | None:
        if self._closed:
            return None
        with reaching(self._database):
            async with self._store.writing() as uow:
                return await claim_job(uow, job_id, worker_id=self.worker_id, lease_s=self.lease_s)

    async def _work_on(self, claim: Claim) -> None:
        task = asyncio.create_task(self._examine(claim), name=f"job {claim.job_id}")
        self._work[claim.job_id] = task
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
            del self._work[claim.job_id]

    async def _examine(self, claim: Claim) -> Finding | Failure:
        """Fetch and analyse the file; every fault becomes a failure of this job alone."""
        try:
            return await self._find_out(claim)
        except AnalysisFailed as error:
            return error.failure
        except FileGone:
            return Failure(FailureCode.FILE_GONE)
        except Unreachable:
            await asyncio.sleep(_STORAGE_PAUSE_S)
            raise
        except Exception as error:  # noqa: BLE001  logged with its traceback under the id that the job's error carries
            return _unexpected(error)

    async def _find_out(self, claim: Claim) -> Finding:
        started_s = time.monotonic()
        if claim.storage_key is None:
            raise FileGone(str(claim.job_id))
        with reaching(self._storage):
            content = await self._files.read(claim.storage_key)
        fetch_ms = _since_ms(started_s)
        analysis = await self._model.analyser.analyse(content)
        with reaching(self._storage):
            await self._files.put_bytes(spectrogram_key(claim.job_id), analysis.spectrogram_png)
        timings = Timings(
            queued=claim.queued_ms,
            fetch=fetch_ms,
            decode=analysis.decode_ms,
            features=analysis.features_ms,
            forward=analysis.forward_ms,
            total=claim.queued_ms + _since_ms(started_s),
        )
        return self._finding(analysis, timings)

    def _finding(self, analysis: Analysis, timings: Timings) -> Finding:
        clip = analysis.clip
        result = genre_result(
            analysis.windows,
            analysed_seconds=analysis.analysed_seconds,
            audible=clip.audible,
            timings_ms=timings,
            model=self._model.ref,
        )
        return Finding(result, FileFacts(clip.duration_s, clip.sample_rate_hz, clip.channels, clip.title, clip.artist))

    async def _record(self, claim: Claim, outcome: Finding | Failure) -> None:
        for delay_s in _RECORD_DELAYS_S:
            try:
                return await self._record_once(claim, outcome)
            except Unreachable:
                await asyncio.sleep(delay_s)
            except Exception as error:  # noqa: BLE001  as above: what can't be recorded is a failure that can
                outcome = _unexpected(error)
        raise Unreachable

    async def _record_once(self, claim: Claim, outcome: Finding | Failure) -> None:
        unwanted_key = None
        with reaching(self._database):
            async with self._store.writing() as uow:
                if isinstance(outcome, Failure):
                    unwanted_key = await record_failure(uow, claim, outcome)
                else:
                    await record_result(uow, claim, outcome.result, outcome.facts, defaults=self._defaults)
        if isinstance(outcome, Failure):
            log.info("job failed", code=outcome.code)
        else:
            log.info("job done", genre=outcome.result.top1.genre, total_ms=round(outcome.result.timings_ms.total))
        if unwanted_key is not None:
            await self._delete(unwanted_key)

    async def _delete(self, key: str) -> None:
        try:
            with reaching(self._storage):
                await self._files.delete(key)
        except Unreachable:
            return  # the sweep deletes what no row knows

    async def _give_back(self, claim: Claim) -> None:
        """Return the job to the queue; does nothing to one that is no longer ours."""
        try:
            with reaching(self._database):
                async with self._store.writing() as uow:
                    await give_back(uow, claim)
        except Unreachable:
            return  # the lease ends by itself


def _unexpected(error: Exception) -> Failure:
    error_id = secrets.token_hex(6)
    log.error("analysis failed unexpectedly", error_id=error_id, exc_info=error)
    return Failure(FailureCode.INTERNAL, {"error_id": error_id})


def _since_ms(started_s: float) -> float:
    return (time.monotonic() - started_s) * 1000
