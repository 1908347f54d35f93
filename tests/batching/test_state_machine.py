"""Whatever callers, device and memory do: the right order, no batch too large, and exactly one answer for everybody."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.inference.batching import BatcherClosed, MicroBatcher
from app.inference.fake import FakeNetwork
from app.inference.lanes import URGENT_TURNS

_POISON = 255


def _window(number: int) -> np.ndarray:
    return np.full((224, 224, 3), number, np.uint8)


class Device(FakeNetwork):
    """Computes a batch when it is told to; ``room`` is the number of windows that its memory can hold."""

    def __init__(self, batch_windows: int) -> None:
        self.batch_windows = batch_windows
        self.room = 1024
        self.batches: list[list[int]] = []
        self.go = threading.Semaphore(0)
        self.arrived = threading.Semaphore(0)
        self.free = False

    def forward(self, batch):
        numbers = batch[:, 0, 0, 0].tolist()
        self.batches.append(numbers)
        self.arrived.release()
        if not self.free:
            self.go.acquire()
        if len(numbers) > self.room:
            raise MemoryError
        if _POISON in numbers:
            raise RuntimeError("poisoned")
        return super().forward(batch)


@dataclass
class Caller:
    windows: list[int]
    urgent: bool
    task: asyncio.Task
    left: bool = False


class Batching(RuleBasedStateMachine):
    """Windows are numbered in the order of their arrival, so a batch tells who was passed over."""

    @initialize(batch_windows=st.integers(1, 6))
    def begin(self, batch_windows: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.device = Device(batch_windows)
        self.batcher = MicroBatcher(self.device, batch_windows=4)
        self.callers: list[Caller] = []
        self.next_number = 0
        self.closing: asyncio.Task | None = None
        self._run(self._start())

    async def _start(self) -> None:
        self.batcher.start()

    def _run(self, work) -> None:
        async def within_reason():
            async with asyncio.timeout(20):
                await work

        self.loop.run_until_complete(within_reason())

    async def _settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    @rule(count=st.integers(1, 5), urgent=st.booleans(), poisoned=st.booleans())
    @precondition(lambda self: self.next_number < 240 and self.closing is None)
    def arrive(self, count: int, urgent: bool, poisoned: bool) -> None:
        windows = list(range(self.next_number, self.next_number + count))
        self.next_number += count
        if poisoned and count > 1:
            windows[-1] = _POISON

        async def come() -> None:
            pictures = np.stack([_window(number) for number in windows])
            task = asyncio.create_task(self.batcher.score(pictures, urgent=urgent))
            self.callers.append(Caller(windows, urgent, task))
            await self._settle()

        self._run(come())

    @rule(which=st.integers(0, 100))
    @precondition(lambda self: self.callers)
    def leave(self, which: int) -> None:
        caller = self.callers[which % len(self.callers)]

        async def go() -> None:
            caller.left = caller.left or caller.task.cancel()
            await self._settle()

        self._run(go())

    @rule()
    @precondition(lambda self: self.callers)
    def compute(self) -> None:
        """Let the device finish one forward pass, if it is at any."""

        async def one() -> None:
            if self.device.arrived.acquire(blocking=False):
                self.device.go.release()
                await asyncio.sleep(0.002)
                await self._settle()

        self._run(one())

    @rule(room=st.integers(1, 3))
    def run_short_of_memory(self, room: int) -> None:
        self.device.room = min(self.device.room, room)

    @rule()
    @precondition(lambda self: self.closing is None)
    def close(self) -> None:
        async def begin() -> None:
            self.closing = asyncio.create_task(self.batcher.close())
            await self._settle()

        self._run(begin())

    @rule()
    @precondition(lambda self: self.closing is not None)
    def come_too_late(self) -> None:
        async def come() -> None:
            try:
                await self.batcher.score(_window(0)[np.newaxis])
            except BatcherClosed:
                return
            raise AssertionError("a batcher that is closing took work")

        self._run(come())

    @invariant()
    def no_batch_is_too_large(self) -> None:
        if hasattr(self, "device"):
            limit = min(4, self.device.batch_windows)
            assert all(0 < len(batch) <= limit for batch in self.device.batches)

    def teardown(self) -> None:
        if not hasattr(self, "device"):
            return
        self.device.free = True
        for _ in range(1000):
            self.device.go.release()
        self._run(self.batcher.close())
        self._run(self._settle())
        self._everybody_has_the_answer()
        self._nobody_was_passed_over()
        assert self.batcher.state.queued_windows == 0
        self.loop.close()

    def _everybody_has_the_answer(self) -> None:
        for caller in self.callers:
            assert caller.task.done()
            if caller.task.cancelled():
                assert caller.left
            elif _POISON in caller.windows:
                assert isinstance(caller.task.exception(), RuntimeError)
            else:
                expected = FakeNetwork().forward(np.stack([_window(number) for number in caller.windows]))
                np.testing.assert_array_equal(caller.task.result().probabilities, expected)

    def _nobody_was_passed_over(self) -> None:
        """Windows of one lane are computed in their order; they come twice only if their batch failed."""
        first_seen = list(dict.fromkeys(number for batch in self.device.batches for number in batch))
        lane_of = {number: caller.urgent for caller in self.callers for number in caller.windows if number != _POISON}
        for urgent in (True, False):
            numbers = [number for number in first_seen if lane_of.get(number) is urgent]
            assert numbers == sorted(numbers)


TestBatching = Batching.TestCase
TestBatching.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_urgent_windows_wait_for_one_batch_at_most():
    """However much bulk is queued, what comes next after the running batch is urgent, save for bulk's one turn in eight."""

    async def scenario() -> list[list[int]]:
        device = Device(4)
        batcher = MicroBatcher(device, batch_windows=4)
        batcher.start()
        bulk = np.stack([_window(number) for number in range(100)])
        waiting = [asyncio.create_task(batcher.score(bulk, urgent=False))]
        await asyncio.to_thread(device.arrived.acquire)
        urgent = np.stack([_window(number) for number in range(100, 116)])
        waiting.append(asyncio.create_task(batcher.score(urgent)))
        await asyncio.sleep(0)
        device.free = True
        device.go.release()
        await asyncio.gather(*waiting)
        await batcher.close()
        return device.batches

    batches = asyncio.run(scenario())
    assert batches[0] == [0, 1, 2, 3]
    following = [number for batch in batches[1:] for number in batch]
    until_done = following[: following.index(115) + 1]
    assert [number for number in until_done if number < 100] == [4, 5]
    assert until_done.index(4) == URGENT_TURNS
