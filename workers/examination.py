"""From a claimed job to what is to be recorded: fetch the file, have it analysed, keep the picture."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import structlog
from numpy.typing import NDArray

from app.domain.failures import AnalysisFailed, Failure, FailureCode
from app.domain.jobs import AnalysisScope
from app.domain.keys import spectrogram_key
from app.domain.results import GenreResult, ModelRef, Timings, genre_result
from app.inference.contracts import Analysis
from app.integrations.files import FileGone, Files
from app.integrations.outage import Outage
from app.services.analyses import Claim, FileFacts
from workers.serving import LoadedModel
from workers.trouble import Unreachable, reaching

log = structlog.get_logger(__name__)

Report = Callable[[float | None], Awaitable[None]]

# Before a job goes back to the queue because its file is out of reach.
_STORAGE_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be recorded of a file that could be analysed, and the pictures that the network saw, if they are few."""

    result: GenreResult
    facts: FileFacts
    model_id: uuid.UUID
    pictures: NDArray[np.uint8] | None


class Examiner:
    """``scratch_dir``: where whole recordings lie while they are analysed; their files there have no name."""

    def __init__(self, files: Files, *, scratch_dir: Path) -> None:
        self._files = files
        self._scratch_dir = scratch_dir
        self._storage = Outage("storage")

    async def examine(self, claim: Claim, model: LoadedModel, report: Report) -> Finding | Failure:
        """Fetch and analyse the file; every fault becomes a failure of this job alone.

        Raises:
            Unreachable: storage is out of reach.
        """
        try:
            return await self._find_out(claim, model, report)
        except AnalysisFailed as error:
            return error.failure
        except FileGone:
            return Failure(FailureCode.FILE_GONE)
        except Unreachable:
            await asyncio.sleep(_STORAGE_PAUSE_S)
            raise
        except Exception as error:  # noqa: BLE001  logged with its traceback under the id that the job's error carries
            return unexpected(error)

    async def delete(self, key: str) -> None:
        """Delete a file; if storage is out of reach a sweep does it, as no row knows the file."""
        try:
            with reaching(self._storage):
                await self._files.delete(key)
        except Unreachable:
            return

    async def _find_out(self, claim: Claim, model: LoadedModel, report: Report) -> Finding:
        if claim.storage_key is None:
            raise FileGone(str(claim.job_id))
        started_s = time.monotonic()
        whole = claim.scope is AnalysisScope.FULL
        analyse = self._analyse_whole if whole else self._analyse_start
        analysis, fetch_ms = await analyse(claim, claim.storage_key, model, report)
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
        clip = analysis.clip
        return Finding(
            result=_result(analysis, timings, model.ref),
            facts=FileFacts(clip.duration_s, clip.sample_rate_hz, clip.channels, clip.title, clip.artist),
            model_id=model.id,
            pictures=analysis.pictures,
        )

    async def _analyse_start(self, claim: Claim, key: str, model: LoadedModel, _: Report) -> tuple[Analysis, float]:
        fetch_ms = 0.0

        async def fetch() -> bytes:
            nonlocal fetch_ms
            started_s = time.monotonic()
            with reaching(self._storage):
                content = await self._files.read(key)
            fetch_ms = _since_ms(started_s)
            return content

        analysis = await model.analyser.analyse(fetch, urgent=not claim.bulk)
        return analysis, fetch_ms

    async def _analyse_whole(self, _: Claim, key: str, model: LoadedModel, report: Report) -> tuple[Analysis, float]:
        started_s = time.monotonic()
        with tempfile.TemporaryFile(dir=self._scratch_dir) as file:
            with reaching(self._storage):
                await self._copy(key, file)
            fetch_ms = _since_ms(started_s)
            return await model.analyser.analyse_whole(file.fileno(), report), fetch_ms

    async def _copy(self, key: str, file: IO[bytes]) -> None:
        size_bytes = await self._files.size_bytes(key)
        async for chunk in self._files.stream(key, 0, size_bytes):
            file.write(chunk)
        file.flush()


def _result(analysis: Analysis, timings: Timings, model: ModelRef) -> GenreResult:
    return genre_result(
        analysis.windows,
        analysed_seconds=analysis.analysed_seconds,
        audible=analysis.clip.audible,
        timings_ms=timings,
        model=model,
    )


def unexpected(error: Exception) -> Failure:
    """A fault that nobody foresaw: in the log with its traceback, in the job with the same id."""
    error_id = secrets.token_hex(6)
    log.error("analysis failed unexpectedly", error_id=error_id, exc_info=error)
    return Failure(FailureCode.INTERNAL, {"error_id": error_id})


def _since_ms(started_s: float) -> float:
    return (time.monotonic() - started_s) * 1000
