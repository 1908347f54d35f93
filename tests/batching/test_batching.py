"""The micro-batcher: batches form by themselves, and every caller gets exactly one answer."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.inference.batching import BatcherClosed, MicroBatcher
from app.inference.fake import FakeNetwork

_POISON = 255


def pictures(*values: int) -> np.ndarray:
    """Windows of one recording, each filled with one value."""
    return np.stack([np.full((224, 224, 3), value, np.uint8) for value in values])


class Device(FakeNetwork):
    """A network that waits at a gate, remembers its batches and chokes on poisoned windows."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.arrived = threading.Semaphore(0)
        if is_open:
            self.gate.set()

    def forward(self, batch):
        self.batches.append(batch[:, 0, 0, 0].tolist())
        self.threads.add(threading.get_ident())
        self.arrived.release()
        assert self.gate.wait(30)
        if _POISON in self.batches[-1]:
            raise RuntimeError("poisoned")
        return super().forward(batch)

    async def reached(self) -> None:
        """Wait until a forward pass has begun."""
        await asyncio.to_thread(self.arrived.acquire)


async def running(network, *, batch_windows: int = 4) -> MicroBatcher:
    batcher = MicroBatcher(network, batch_windows=batch_windows)
    batcher.start()
    return batcher


async def queued(batcher: MicroBatcher, *requests: np.ndarray) -> list[asyncio.Task]:
    """Callers that have put their windows into the queue."""
    tasks = [asyncio.create_task(batcher.score(request)) for request in requests]
    await asyncio.sleep(0)
    return tasks


async def test_an_idle_device_is_not_kept_waiting():
    device = Device()
    batcher = await running(device)
    await batcher.score(pictures(1))
    assert device.batches == [[1]]
    await batcher.close()


async def test_what_arrives_during_a_forward_pass_forms_the_next_batches():
    device = Device(is_open=False)
    batcher = await running(device, batch_windows=4)
    tasks = await queued(batcher, pictures(1))
    await device.reached()
    tasks += await queued(batcher, pictures(2, 3), pictures(4, 5), pictures(6))
    assert batcher.state.queued_windows == 5
    device.gate.set()
    await asyncio.gather(*tasks)
    assert device.batches == [[1], [2, 3, 4, 5], [6]]
    await batcher.close()


async def test_a_recording_with_more_windows_than_a_batch_is_spread_over_several():
    device = Device()
    batcher = await running(device, batch_windows=2)
    scores = await batcher.score(pictures(1, 2, 3, 4, 5))
    assert device.batches == [[1, 2], [3, 4], [5]]
    np.testing.assert_array_equal(scores.probabilities, FakeNetwork().forward(pictures(1, 2, 3, 4, 5)))
    await batcher.close()


async def test_one_thread_owns_the_device():
    device = Device()
    batcher = await running(device, batch_windows=1)
    await asyncio.gather(*(batcher.score(pictures(value)) for value in range(8)))
    assert len(device.threads) == 1
    assert device.threads != {threading.get_ident()}
    await batcher.close()


async def test_a_bad_window_fails_its_own_recording_alone():
    device = Device(is_open=False)
    batcher = await running(device)
    tasks = await queued(batcher, pictures(1))
    await device.reached()
    tasks += await queued(batcher, pictures(2), pictures(3, _POISON), pictures(4))
    device.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(answer, RuntimeError) for answer in answers] == [False, False, True, False]
    assert batcher.state.alive
    await batcher.score(pictures(5))
    await batcher.close()


class Forgetful(FakeNetwork):
    def forward(self, batch):
        return super().forward(batch)[1:]


class Confused(FakeNetwork):
    def forward(self, batch):
        return super().forward(batch) * np.float32("nan")


@pytest.mark.parametrize("network", [Forgetful(), Confused()])
async def test_a_wrong_answer_of_the_network_is_an_error_and_not_an_answer(network):
    batcher = await running(network)
    with pytest.raises(RuntimeError, match="the network answered"):
        await batcher.score(pictures(1, 2))
    assert batcher.state.last_success_age_s is None
    await batcher.close()


class Small(Device):
    """A device whose memory holds two windows; says so as torch, CUDA, OpenVINO or Python do."""

    def __init__(self, complaint: Exception) -> None:
        super().__init__()
        self.complaint = complaint

    def forward(self, batch):
        answers = super().forward(batch)
        if len(batch) > 2:
            raise self.complaint
        return answers


@pytest.mark.parametrize(
    "complaint",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
    ],
)
async def test_out_of_memory_halves_the_batch_from_then_on(complaint):
    device = Small(complaint)
    batcher = await running(device, batch_windows=8)
    scores = await batcher.score(pictures(*range(1, 9)))
    np.testing.assert_array_equal(scores.probabilities, FakeNetwork().forward(pictures(*range(1, 9))))
    assert [len(batch) for batch in device.batches] == [8, 4, 2, 2, 4, 2, 2]
    device.batches.clear()
    await batcher.score(pictures(1, 2, 3, 4, 5))
    assert device.batches == [[1, 2], [3, 4], [5]]
    await batcher.close()


async def test_a_window_that_is_too_large_alone_is_an_error():
    class Full(Device):
        def forward(self, batch):
            raise MemoryError(len(batch))

    batcher = await running(Full())
    with pytest.raises(MemoryError):
        await batcher.score(pictures(1, 2))
    assert batcher.state.alive
    await batcher.close()


async def test_a_batch_is_never_larger_than_the_network_likes():
    device = Device()
    device.batch_windows = 3
    batcher = await running(device, batch_windows=8)
    await batcher.score(pictures(1, 2, 3, 4))
    device.batch_windows = 4  # the self-check has found a better size meanwhile
    await batcher.score(pictures(1, 2, 3, 4))
    assert device.batches == [[1, 2, 3], [4], [1, 2, 3, 4]]
    await batcher.close()


async def test_a_device_that_takes_two_batches_at_once_gets_them():
    class Wide(Device):
        batches_in_flight = 2

    device = Wide(is_open=False)
    batcher = await running(device, batch_windows=1)
    tasks = await queued(batcher, pictures(1), pictures(2), pictures(3))
    await device.reached()
    await device.reached()
    assert sorted(device.batches) == [[1], [2]]
    device.gate.set()
    await asyncio.gather(*tasks)
    assert len(device.threads) == 2
    await batcher.close()


async def test_windows_of_a_caller_who_left_are_not_computed():
    device = Device(is_open=False)
    batcher = await running(device)
    tasks = await queued(batcher, pictures(1))
    await device.reached()
    leaving, staying = await queued(batcher, pictures(2, 3), pictures(4))
    leaving.cancel()
    await asyncio.wait([leaving])
    device.gate.set()
    await asyncio.gather(*tasks, staying)
    assert device.batches == [[1], [4]]
    await batcher.close()


async def test_a_caller_may_leave_while_the_device_works_for_it():
    device = Device(is_open=False)
    batcher = await running(device)
    [leaving] = await queued(batcher, pictures(1))
    await device.reached()
    leaving.cancel()
    await asyncio.wait([leaving])
    device.gate.set()
    await batcher.score(pictures(2))
    assert leaving.cancelled()
    await batcher.close()


async def test_closing_answers_what_is_queued_and_refuses_what_comes_later():
    device = Device(is_open=False)
    batcher = await running(device, batch_windows=1)
    tasks = await queued(batcher, pictures(1), pictures(2), pictures(3))
    await device.reached()
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    with pytest.raises(BatcherClosed):
        await batcher.score(pictures(4))
    device.gate.set()
    assert len(await asyncio.gather(*tasks)) == 3
    await closing
    assert not batcher.state.alive
    await batcher.close()


async def test_nobody_is_left_waiting_when_the_loop_is_cancelled():
    device = Device(is_open=False)
    batcher = await running(device, batch_windows=1)
    tasks = await queued(batcher, pictures(1), pictures(2))
    await device.reached()
    batcher._loops[0].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [BatcherClosed, BatcherClosed]
    device.gate.set()
    await batcher.close()


async def test_the_state_tells_whether_the_loop_lives_and_when_it_last_succeeded():
    batcher = MicroBatcher(FakeNetwork(), batch_windows=1)
    assert not batcher.state.alive
    batcher.start()
    await asyncio.sleep(0)
    assert batcher.state.alive
    assert batcher.state.last_success_age_s is None
    await batcher.score(pictures(1))
    assert batcher.state.last_success_age_s >= 0
    await batcher.close()


async def test_a_recording_without_windows_is_a_mistake_of_the_caller():
    batcher = await running(FakeNetwork())
    with pytest.raises(ValueError, match="at least one window"):
        await batcher.score(np.empty((0, 224, 224, 3), np.uint8))
    await batcher.close()


request_values = st.lists(st.sampled_from([1, 2, 3, 4, _POISON]), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(request_values, max_size=8), leavers=st.sets(st.integers(0, 7)), batch_windows=st.integers(1, 5)
)
def test_every_caller_gets_exactly_its_own_answer(requests, leavers, batch_windows):
    async def scenario():
        batcher = await running(Device(), batch_windows=batch_windows)
        tasks = await queued(batcher, *(pictures(*values) for values in requests))
        leaving = [task for number, task in enumerate(tasks) if number in leavers]
        for task in leaving:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.close()
        assert batcher.state.queued_windows == 0
        return answers

    for number, (values, answer) in enumerate(zip(requests, asyncio.run(scenario()), strict=True)):
        if number in leavers:
            assert isinstance(answer, asyncio.CancelledError)
        elif _POISON in values:
            assert isinstance(answer, RuntimeError)
        else:
            np.testing.assert_array_equal(answer.probabilities, FakeNetwork().forward(pictures(*values)))
