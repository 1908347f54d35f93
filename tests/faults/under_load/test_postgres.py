"""PostgreSQL is restarted at once, is down, and stands still, while two hundred uploads come in."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.domain.jobs import JobState
from tests.support.families import family_of
from tests.support.postgres import PostgresServer
from tests.support.service import Service
from tests.support.under_load import UnderLoad, under_load

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

UPLOADS = 200
OUTAGE_S = 30


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer(durable=True)
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def on_postgres(tmp_path: Path, server: PostgresServer) -> AsyncIterator[UnderLoad]:
    async with under_load(Service(tmp_path / "data", database_url=server.create_database("earmark"))) as it:
        yield it


async def test_it_is_restarted_without_waiting_for_anybody(on_postgres, server):
    on_postgres.load.begin(UPLOADS)
    for number in range(3):
        await on_postgres.load.until_accepted(20 + 50 * number)
        await asyncio.to_thread(server.stop, "immediate")
        await asyncio.to_thread(server.start)
    assert await on_postgres.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_it_is_down_for_half_a_minute(on_postgres, server):
    on_postgres.load.begin(UPLOADS)
    await on_postgres.load.until_accepted(50)
    await asyncio.to_thread(server.stop, "immediate")
    await asyncio.sleep(OUTAGE_S)
    await asyncio.to_thread(server.start)
    assert await on_postgres.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_it_stands_still_for_half_a_minute(on_postgres, server):
    """Nothing fails, everything waits."""
    on_postgres.load.begin(UPLOADS)
    await on_postgres.load.until_accepted(50)
    processes = [server.pid, *family_of(server.pid)]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(OUTAGE_S)
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    assert await on_postgres.assert_nothing_lost() == {JobState.DONE: UPLOADS}
