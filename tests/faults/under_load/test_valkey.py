"""The queue goes away while two hundred uploads come in: with its memory, without it, and without a word."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.jobs import JobState
from app.integrations.valkey import EmbeddedValkey
from tests.support.service import Service
from tests.support.under_load import UnderLoad, under_load
from tests.support.waiting import wait_until_gone

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

UPLOADS = 200


@pytest.fixture
def valkey(tmp_path: Path):
    """A server of our own, that may be killed for as long as we like."""
    server = EmbeddedValkey(tmp_path / "queue")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def apart(tmp_path: Path, valkey) -> AsyncIterator[UnderLoad]:
    """A service whose queue is a server of its own."""
    async with under_load(Service(tmp_path / "data", redis_url=valkey.url)) as it:
        yield it


async def kill(valkey) -> None:
    os.kill(valkey.pid, signal.SIGKILL)
    await asyncio.to_thread(wait_until_gone, valkey.pid)


async def test_it_is_killed_and_comes_back_with_its_data(busy):
    busy.load.begin(UPLOADS)
    for number in range(5):
        await busy.load.until_accepted(20 + 30 * number)
        await busy.service.kill("valkey-server")
    assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_it_comes_back_empty(apart, valkey, tmp_path):
    apart.load.begin(UPLOADS)
    for number in range(3):
        await apart.load.until_accepted(20 + 50 * number)
        await kill(valkey)
        shutil.rmtree(tmp_path / "queue")
        await asyncio.to_thread(valkey.start)
    assert await apart.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_it_is_down_for_a_while(apart, valkey):
    apart.load.begin(UPLOADS)
    await apart.load.until_accepted(20)
    await kill(valkey)
    await apart.load.until_accepted(UPLOADS)  # without it
    await asyncio.to_thread(valkey.start)
    assert await apart.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_it_takes_connections_and_says_nothing_for_two_minutes(apart, valkey):
    """Worse than being down: nothing fails, everything waits. Uploads are accepted all the same."""
    apart.load.begin(UPLOADS)
    await apart.load.until_accepted(20)
    os.kill(valkey.pid, signal.SIGSTOP)
    begun_s = asyncio.get_running_loop().time()
    await apart.load.until_accepted(UPLOADS)
    assert set(apart.load.answers) == {202}
    await asyncio.sleep(begun_s + 120 - asyncio.get_running_loop().time())
    os.kill(valkey.pid, signal.SIGCONT)
    assert await apart.assert_nothing_lost() == {JobState.DONE: UPLOADS}
