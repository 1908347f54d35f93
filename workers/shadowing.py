"""A second model that scores a share of what the active one has answered, when there is nothing else to do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from app.db.uow import Store
from app.domain.results import Window
from app.domain.views import ModelOut
from app.integrations.outage import Outage
from app.services.shadows import record_shadow
from workers.examination import Finding
from workers.serving import InService, LoadedModel, Loader, ModelUnavailable
from workers.trouble import Unreachable, reaching

log = structlog.get_logger(__name__)

# Jobs that wait for an idle moment; each holds 300 kB. On a busy day the rest is not compared.
_BACKLOG = 32
_SHARE_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class _Case:
    """A job that the active model has answered."""

    job_id: uuid.UUID
    model_id: uuid.UUID
    pictures: NDArray[np.uint8]
    windows: Sequence[Window]


class Shadow:
    """``idle``: set while the worker is at no job. Whole recordings are not compared: their pictures are not kept."""

    def __init__(self, loader: Loader, store: Store, *, idle: asyncio.Event) -> None:
        self._loader = loader
        self._store = store
        self._idle = idle
        self._model: InService | None = None
        self._share = 0.0
        self._refused: tuple[uuid.UUID, str] | None = None
        self._backlog: asyncio.Queue[_Case] = asyncio.Queue(_BACKLOG)
        self._database = Outage("database (shadow)")

    def offer(self, job_id: uuid.UUID, finding: Finding) -> None:
        """A job has been answered; it is compared later if it falls into the share."""
        # The last bits of an id are chance, and the same for every worker.
        in_share = job_id.int % _SHARE_STEPS < self._share * _SHARE_STEPS
        if self._model is not None and in_share and finding.pictures is not None and not self._backlog.full():
            case = _Case(job_id, finding.model_id, finding.pictures, finding.result.windows)
            self._backlog.put_nowait(case)

    async def go_over_to(self, wanted: ModelOut | None) -> None:
        """Compare with that model from now on, or with none."""
        self._share = wanted.shadow_share or 0.0 if wanted else 0.0
        if self._model is not None and (wanted is None or not self._model.runs(wanted)):
            await self.close()
        if wanted is not None and self._model is None and self._refused != (wanted.id, wanted.sha256):
            await self._load(wanted)

    async def work(self) -> None:
        """Compare what is offered, until cancelled."""
        while True:
            case = await self._backlog.get()
            model = self._model
            if model is None:
                continue
            try:
                async with model.in_use() as loaded:
                    await self._compare(case, loaded)
            except Unreachable:
                continue  # it is only a comparison
            except Exception:  # a model in the shadow must not harm the worker
                log.exception("the shadow failed", job_id=str(case.job_id))

    async def close(self) -> None:
        """Put the model away."""
        model, self._model = self._model, None
        if model is not None:
            await model.put_away()

    async def _load(self, wanted: ModelOut) -> None:
        try:
            self._model = await InService.open(self._loader, wanted)
        except ModelUnavailable as error:
            self._refused = (wanted.id, wanted.sha256)
            log.warning("the shadow can't be loaded", model=wanted.name, reason=str(error))
        else:
            self._refused = None
            log.info("a model is in the shadow", model=wanted.name, version=wanted.version, share=self._share)

    async def _compare(self, case: _Case, model: LoadedModel) -> None:
        """A window at a time, so that a job that arrives meanwhile waits for no more than one."""
        rows = []
        for picture in case.pictures:
            await self._idle.wait()
            rows.append((await model.analyser.score(picture[np.newaxis])).probabilities[0])
        with reaching(self._database):
            async with self._store.writing() as uow:
                await record_shadow(
                    uow,
                    case.job_id,
                    model_id=model.id,
                    main_model_id=case.model_id,
                    probabilities=np.mean(rows, axis=0).tolist(),
                    main_probabilities=np.mean([window.probabilities for window in case.windows], axis=0).tolist(),
                )
