"""What the worker's tests put together by hand."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.db.uow import Store
from app.domain.ids import new_id
from app.integrations.files import Files
from tests.support.factories import MODEL, PREFERENCES
from tests.support.stand_in_worker import StandIn
from workers.analysis import Analyst, Models
from workers.examination import Examiner
from workers.serving import Analyser, LoadedModel


class OneModel:
    """In place of ``Serving`` where no other model is to come."""

    trouble = None

    def __init__(self, analyser: Analyser | None = None) -> None:
        self.current = LoadedModel(new_id(), MODEL, analyser or StandIn())

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[LoadedModel]:
        yield self.current


def analyst_of(store: Store, files: Files, models: Models) -> Analyst:
    examiner = Examiner(files, scratch_dir=Path(tempfile.gettempdir()))
    return Analyst(new_id(), store, examiner, models=models, lease_s=20, defaults=PREFERENCES)


def analyst_with(store: Store, files: Files, analyser: Analyser | None = None) -> Analyst:
    return analyst_of(store, files, OneModel(analyser))
