"""The micro-batcher: many callers, one device.

It never waits while the device is idle: what arrives during a forward pass forms the next batch. Batches hold windows, not
recordings, so a long recording can share a batch with others or be spread over several, and what a person waits for goes
before what nobody waits for. The queue lives in the event loop's thread and needs no lock; other threads, as many as the
network takes batches at once, own the device. Every caller gets exactly one answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from app.domain.genres import GENRES
from app.inference.contracts import Network, Scores
from app.inference.lanes import Lanes
from app.metrics import BATCH_WINDOWS, DEVICE_BUSY

_log = structlog.get_logger(__name__)

# What torch, CUDA and OpenVINO say where Python would raise a MemoryError.
_OUT_OF_MEMORY_WORDS = ("out of memory", "can't allocate memory", "bad_alloc")


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

    @property
    def wanted(self) -> bool:
        return not self.request.answer.done()


class _Busy:
    """Counts the time in which the device has anything to do, once however many batches are in flight."""

    def __init__(self) -> None:
        self._batches = 0
        self._since_s = 0.0

    @contextmanager
    def working(self) -> Iterator[None]:
        if not self._batches:
            self._since_s = time.monotonic()
        self._batches += 1
        try:
            yield
        finally:
            self._batches -= 1
            now_s = time.monotonic()
            DEVICE_BUSY.inc(now_s - self._since_s)
            self._since_s = now_s


class MicroBatcher:
    """Use it from one event loop: ``start``, any number of concurrent ``score``, ``close``.

    A batch has as many windows as the network likes best, but at most ``batch_windows``, and fewer once that was too much
    for the device's memory.
    """

    def __init__(self, network: Network, *, batch_windows: int) -> None:
        self._network = network
        self._limit_windows = batch_windows
        self._queue: Lanes[_Item] = Lanes()
        self._work_arrived = asyncio.Event()
        self._device = ThreadPoolExecutor(network.batches_in_flight, thread_name_prefix="device")
        self._loops: list[asyncio.Task[None]] = []
        self._closing = False
        self._last_success: float | None = None
        self._busy = _Busy()

    @property
    def state(self) -> BatcherState:
        alive = bool(self._loops) and not any(loop.done() for loop in self._loops)
        age_s = None if self._last_success is None else time.monotonic() - self._last_success
        return BatcherState(alive, len(self._queue), age_s)

    def start(self) -> None:
        count = self._network.batches_in_flight
        self._loops = [asyncio.create_task(self._serve(), name="micro-batcher") for _ in range(count)]

    async def score(self, pictures: NDArray[np.uint8], *, urgent: bool = True) -> Scores:
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
        self._queue.add((_Item(request, window) for window in range(windows)), urgent=urgent)
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
        if self._loops:
            await asyncio.wait(self._loops)
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
            for item in [*batch, *self._queue.drain()]:
                item.request.refuse(BatcherClosed("the micro-batcher was stopped"))

    def _next_batch(self) -> list[_Item]:
        """The windows whose turn it is and whose callers still wait."""
        size = min(self._limit_windows, self._network.batch_windows)
        batch: list[_Item] = []
        while len(batch) < size and (item := self._queue.take()) is not None:
            if item.wanted:
                batch.append(item)
        return batch

    async def _settle(self, batch: Sequence[_Item]) -> None:
        """Answer every window of the batch: together if that works, else each alone, so that a bad one fails alone."""
        try:
            await self._forward(batch)
        except Exception as error:  # noqa: BLE001  whatever the network raises, the loop must survive
            if len(batch) > 1 and _is_out_of_memory(error):
                await self._settle_in_halves(batch)
            else:
                _log.warning("batch_failed", windows=len(batch), error=repr(error))
                for item in batch:
                    await self._settle_alone(item)

    async def _settle_in_halves(self, batch: Sequence[_Item]) -> None:
        """The device's memory was too small for that many: from now on batches are half as large."""
        half = len(batch) // 2
        self._limit_windows = min(self._limit_windows, half)
        _log.warning("out_of_memory", windows=len(batch), batch_windows=self._limit_windows)
        for start in range(0, len(batch), half):
            if part := [item for item in batch[start : start + half] if item.wanted]:
                await self._settle(part)

    async def _settle_alone(self, item: _Item) -> None:
        if not item.wanted:
            return
        try:
            await self._forward([item])
        except Exception as error:  # noqa: BLE001  it goes to the caller
            item.request.refuse(error)

    async def _forward(self, batch: Sequence[_Item]) -> None:
        pictures = np.stack([item.picture for item in batch])
        BATCH_WINDOWS.observe(len(batch))
        started = time.perf_counter()
        with self._busy.working():
            probabilities = await asyncio.get_running_loop().run_in_executor(
                self._device, self._network.forward, pictures
            )
        forward_ms = 1_000 * (time.perf_counter() - started)
        _check(probabilities, len(batch))
        self._last_success = time.monotonic()
        for item, row in zip(batch, probabilities, strict=True):
            item.request.accept(item.window, row, forward_ms)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY_WORDS)


def _check(probabilities: NDArray[np.float32], windows: int) -> None:
    if probabilities.shape != (windows, len(GENRES)):
        raise RuntimeError(f"the network answered {probabilities.shape} to {windows} windows")
    if not np.isfinite(probabilities).all():
        raise RuntimeError("the network answered with values that are not finite")
