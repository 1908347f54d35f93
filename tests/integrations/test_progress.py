"""Live progress: every listener hears of every change, also after Redis was away."""

from __future__ import annotations

import pytest

from app.domain.ids import new_id
from app.integrations import channels, queue
from app.integrations.progress import Progress
from app.integrations.queue import RedisOutside


@pytest.fixture
async def outside(valkey):
    outside = RedisOutside(valkey.url)
    yield outside
    await outside.close()


@pytest.fixture
async def progress(valkey):
    progress = Progress(valkey.url)
    await progress.start()
    yield progress
    await progress.close()


async def test_every_listener_hears_of_a_change_once(progress, outside):
    await progress.wait_until_listening()
    ids = {new_id(), new_id()}
    with progress.subscribe() as one, progress.subscribe() as other:
        await outside.tell(list(ids))
        assert await one.wait(20) == ids
        assert await other.wait(20) == ids
        assert await one.wait(0.01) == set()


async def test_changes_between_two_waits_are_kept(progress, outside):
    await progress.wait_until_listening()
    first, second = new_id(), new_id()
    with progress.subscribe() as listener, progress.subscribe() as witness:
        await outside.tell([first])
        assert await witness.wait(20) == {first}
        await outside.tell([second])
        assert await witness.wait(20) == {second}
        assert await listener.wait(20) == {first, second}


async def test_a_subscription_ends_with_its_block(progress, outside):
    await progress.wait_until_listening()
    with progress.subscribe() as gone:
        pass
    with progress.subscribe() as witness:
        await outside.tell([new_id()])
        await witness.wait(20)
    assert await gone.wait(0) == set()


async def test_it_listens_again_after_redis_was_away(progress, outside, valkey, monkeypatch):
    monkeypatch.setattr(queue, "_PAUSE_AFTER_FAILURE_S", 0.0)
    await progress.wait_until_listening()
    valkey.stop()
    with progress.subscribe() as listener:
        assert await listener.wait(0.05) == set()
        valkey.start()
        changed = new_id()
        heard: set[object] = set()
        while not heard:  # the subscription may come back after the first message
            await outside.tell([changed])
            heard |= await listener.wait(0.2)
    assert heard == {changed}


async def test_without_redis_there_are_only_timeouts(tmp_path, monkeypatch):
    monkeypatch.setattr(channels, "_FIRST_DELAY_S", 0.01)
    progress = Progress(f"unix://{tmp_path}/nobody.sock")
    await progress.start()
    with progress.subscribe() as listener:
        assert await listener.wait(0.1) == set()
    await progress.close()
