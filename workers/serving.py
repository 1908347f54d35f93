"""The model in service: loaded, put to work, and replaced by another while jobs go on.

A job keeps the model it began with until it ends. When another model is activated it is loaded beside the old one; then new
jobs get the new one, and the old one is put away once its last job has ended. If the new one can't be loaded the old one
stays, and the worker says why.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
import structlog
from numpy.typing import NDArray

from app.domain.results import ModelRef
from app.domain.views import ModelOut
from app.inference.contracts import Analysis, Scores

log = structlog.get_logger(__name__)


class ModelUnavailable(Exception):
    """The model can't be loaded; one sentence that says which file and what to do."""


class Analyser(Protocol):
    """The compute layer as a worker sees it."""

    async def analyse(self, fetch: Callable[[], Awaitable[bytes]], *, urgent: bool = True) -> Analysis:
        """Analyse the beginning of a file, which is fetched once there is room for it.

        Raises:
            AnalysisFailed: this file can't be analysed; says why.
        """
        ...

    async def analyse_whole(self, recording_fd: int, report: Callable[[float | None], Awaitable[None]]) -> Analysis:
        """Analyse all of a file; ``report`` is told how far it has got.

        Raises:
            AnalysisFailed: this file can't be analysed; says why.
        """
        ...

    async def score(self, pictures: NDArray[np.uint8]) -> Scores:
        """Classify pictures that are drawn already."""
        ...


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model at work in this process."""

    id: uuid.UUID
    ref: ModelRef
    analyser: Analyser


class Loader(Protocol):
    def load(self, model: ModelOut) -> AbstractAsyncContextManager[LoadedModel]:
        """Load a model; it is put away at the end of the context.

        Raises:
            ModelUnavailable: its files are missing or damaged, or its device is.
        """
        ...


@dataclass(slots=True)
class InService:
    """A loaded model and how many jobs it is at."""

    model: LoadedModel
    stack: AsyncExitStack
    users: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def open(cls, loader: Loader, wanted: ModelOut) -> Self:
        async with AsyncExitStack() as stack:
            model = await stack.enter_async_context(loader.load(wanted))
            return cls(model, stack.pop_all())

    def runs(self, wanted: ModelOut) -> bool:
        """Is it this very model? One that was imported anew under the same name is another."""
        return (self.model.id, self.model.ref.sha256) == (wanted.id, wanted.sha256)

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[LoadedModel]:
        self.users += 1
        try:
            yield self.model
        finally:
            self.users -= 1
            if not self.users:
                self.unused.set()

    async def put_away(self) -> None:
        """Close it once nobody uses it; nobody may begin to."""
        while self.users:
            self.unused.clear()
            await self.unused.wait()
        await self.stack.aclose()


class Serving:
    """The model that new jobs get. An async context manager: it begins with ``first`` and puts away all at its end."""

    def __init__(self, loader: Loader, first: ModelOut) -> None:
        self._loader = loader
        self._first = first
        self._refused: ModelOut | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self.trouble: str | None = None

    async def __aenter__(self) -> Self:
        """Raises ModelUnavailable if the first one can't be loaded."""
        self._current = await InService.open(self._loader, self._first)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*self._leaving, self._current.put_away())

    @property
    def current(self) -> LoadedModel:
        return self._current.model

    def in_use(self) -> AbstractAsyncContextManager[LoadedModel]:
        """The current model, kept until the context ends."""
        return self._current.in_use()

    async def go_over_to(self, wanted: ModelOut, *, again: bool = False) -> bool:
        """Serve that model from now on; did anything change? One that was refused is tried ``again`` only on demand."""
        if self._current.runs(wanted):
            changed = self.trouble is not None
            self._refused = self.trouble = None
            return changed
        if self._is_refused(wanted) and not again:
            return False
        return await self._replace(wanted)

    def _is_refused(self, wanted: ModelOut) -> bool:
        refused = self._refused
        return refused is not None and (refused.id, refused.sha256) == (wanted.id, wanted.sha256)

    async def _replace(self, wanted: ModelOut) -> bool:
        try:
            new = await InService.open(self._loader, wanted)
        except ModelUnavailable as error:
            news = str(error) != self.trouble
            self._refused, self.trouble = wanted, str(error)
            if news:
                log.warning("the worker keeps its model", model=self.current.ref.name, reason=self.trouble)
            return news
        old, self._current = self._current, new
        self._refused = self.trouble = None
        leaving = asyncio.create_task(old.put_away(), name="put a model away")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        log.info("model switched", model=wanted.name, version=wanted.version, before=old.model.ref.name)
        return True
