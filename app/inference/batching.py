"""The micro-batcher: many callers, one device.

It never waits while the device is idle: what arrives during a forward pass forms the next batch. Batches hold windows, not
recordings, so a long recording can share a batch with others or be spread over several. The queue lives in the event loop's
thread and needs no lock; one other thread owns the device. Every caller gets exactly one answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from app.domain.genres import GENRES
from app.inference.contracts import Network, Scores

_log = structlog.get_logger(__name__)


class BatcherClosed(Exception):
    """The batcher takes no more work, or was stopped before it could do this."""


@dataclass(frozen=True, slots=True)
class BatcherState:
    """``alive``: the loop runs. ``last_success_age_s``: None before the first. ``queued_windows``: not yet on the device."""

    alive: bool
    queued_windows: int
    last_success_age_s: float | None


@dataclass(slots=True)
class _Request:
    """A caller who waits: the answer is complete when no window is missing."""

    pictures: NDArray[np.uint8]
    answer: asyncio.Future[Scores]
    probabilities: NDArray[np.float32]
    missing: int
    forward_ms: float = 0.0

    def accept(self, window: int, probabilities: NDArray[np.float32], forward_ms: float) -> None:
        self.probabilities[window] = probabilities
        self.missing -= 1
        self.forward_ms = max(self.forward_ms, forward_ms)
        if self.missing == 0 and not self.answer.done():
            self.answer.set_result(Scores(self.probabilities, self.forward_ms))

    def refuse(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Item:
    """One window of a request."""

    request: _Request
    window: int

    @property
    def picture(self) -> NDArray[np.uint8]:
        picture: NDArray[np.uint8] = self.request.pictures[self.window]
        return picture


class MicroBatcher:
    """Use it from one event loop: ``start``, any number of concurrent ``score``, ``close``."""

    def __init__(self, network: Network, *, batch_windows: int) -> None:
        self._network = network
        self._batch_windows = batch_windows
        self._queue: deque[_Item] = deque()
        self._work_arrived = asyncio.Event()
        self._device = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._loop_task: asyncio.Task[None] | None = None
        self._closing = False
        self._last_success: float | None = None

    @property
    def state(self) -> BatcherState:
        alive = self._loop_task is not None and not self._loop_task.done()
        age_s = None if self._last_success is None else time.monotonic() - self._last_success
        return BatcherState(alive, len(self._queue), age_s)

    def start(self) -> None:
        self._loop_task = asyncio.create_task(self._serve(), name="micro-batcher")

    async def score(self, pictures: NDArray[np.uint8]) -> Scores:
        """Probabilities of the windows, uint8 (windows, 224, 224, 3), at least one.

        Raises:
            BatcherClosed: too late.
            Exception: what the network raised for one of these windows, also when it was alone on the device.
        """
        self.ensure_open()
        windows = len(pictures)
        if windows == 0:
            raise ValueError("there must be at least one window")
        answer: asyncio.Future[Scores] = asyncio.get_running_loop().create_future()
        request = _Request(pictures, answer, np.empty((windows, len(GENRES)), np.float32), missing=windows)
        self._queue.extend(_Item(request, window) for window in range(windows))
        self._work_arrived.set()
        return await answer

    def ensure_open(self) -> None:
        """Raises BatcherClosed unless work is taken."""
        if self._closing or not self.state.alive:
            raise BatcherClosed("the micro-batcher takes no more work")

    async def close(self) -> None:
        """Answer what is queued, then stop. Calling it again does nothing."""
        self._closing = True
        self._work_arrived.set()
        if self._loop_task is not None:
            await asyncio.wait([self._loop_task])
        self._device.shutdown()

    async def _serve(self) -> None:
        batch: list[_Item] = []
        try:
            while True:
                if batch := self._next_batch():
                    await self._settle(batch)
                elif self._closing:
                    return
                else:
                    self._work_arrived.clear()
                    await self._work_arrived.wait()
        finally:
            # Only when the loop is cancelled from outside is anybody left here.
            for item in [*batch, *self._queue]:
                item.request.refuse(BatcherClosed("the micro-batcher was stopped"))
            self._queue.clear()

    def _next_batch(self) -> list[_Item]:
        """The longest-waiting windows whose callers still wait."""
        batch: list[_Item] = []
        while self._queue and len(batch) < self._batch_windows:
            item = self._queue.popleft()
            if not item.request.answer.done():
                batch.append(item)
        return batch

    async def _settle(self, batch: Sequence[_Item]) -> None:
        """Answer every window of the batch: together if that works, else each alone, so that a bad one fails alone."""
        try:
            await self._forward(batch)
        except Exception as error:  # noqa: BLE001  whatever the network raises, the loop must survive
            _log.warning("batch_failed", windows=len(batch), error=repr(error))
            for item in batch:
                await self._settle_alone(item)

    async def _settle_alone(self, item: _Item) -> None:
        if item.request.answer.done():
            return
        try:
            await self._forward([item])
        except Exception as error:  # noqa: BLE001  it goes to the caller
            item.request.refuse(error)

    async def _forward(self, batch: Sequence[_Item]) -> None:
        pictures = np.stack([item.picture for item in batch])
        started = time.perf_counter()
        probabilities = await asyncio.get_running_loop().run_in_executor(self._device, self._network.forward, pictures)
        forward_ms = 1_000 * (time.perf_counter() - started)
        _check(probabilities, len(batch))
        self._last_success = time.monotonic()
        for item, row in zip(batch, probabilities, strict=True):
            item.request.accept(item.window, row, forward_ms)


def _check(probabilities: NDArray[np.float32], windows: int) -> None:
    if probabilities.shape != (windows, len(GENRES)):
        raise RuntimeError(f"the network answered {probabilities.shape} to {windows} windows")
    if not np.isfinite(probabilities).all():
        raise RuntimeError("the network answered with values that are not finite")
