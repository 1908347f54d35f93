"""The database goes away and comes back: no worker ends, no job is lost. PostgreSQL, stopped and started for real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.db.migrations import upgrade
from app.domain.jobs import EventType, JobState
from app.integrations.progress import Progress
from app.integrations.valkey import EmbeddedValkey
from app.resources import open_resources
from app.settings import Settings
from tests.support.factories import make_principal
from tests.support.installation import CHORES, STAND_IN_WORKER, Installation, stopped
from tests.support.postgres import PostgresServer
from tests.support.stand_in_worker import order

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One of our own, that may be stopped."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def installation(tmp_path: Path, server: PostgresServer) -> AsyncIterator[Installation]:
    data_dir = tmp_path / "data"
    settings = Settings(data_dir=data_dir, database_url=server.create_database("earmark"))
    settings.prepare_data_dir()
    valkey = EmbeddedValkey(data_dir)
    valkey.start()
    progress = Progress(valkey.url)
    await progress.start()
    async with open_resources(settings) as parts:
        await upgrade(parts.database)
        installation = Installation(data_dir, valkey, parts, progress)
        installation.environment["EARMARK_DATABASE_URL"] = settings.database_dsn
        yield installation
    await progress.close()
    valkey.stop()


async def test_workers_live_through_a_restart_of_the_database(installation, server, tmp_path):
    principal = await make_principal(installation.parts.store)
    go = tmp_path / "go"
    with installation.process(STAND_IN_WORKER) as worker, installation.process(CHORES) as chores:
        running = [await installation.submit(principal, order("wait", go)) for _ in range(3)]
        for job_id in running:
            await installation.wait_for(job_id, JobState.RUNNING)
        await asyncio.to_thread(server.stop)
        go.touch()  # the results come while nobody can take them
        await asyncio.to_thread(server.start)
        for job_id in running:
            await installation.wait_for(job_id, JobState.DONE)
            assert await installation.events(job_id, EventType.JOB_DONE) == 1
        later = await installation.submit(principal, order("done"))
        await installation.wait_for(later, JobState.DONE)
        for process in (worker, chores):
            code, output = await stopped(process)
            assert code == 0, output
            assert "Traceback" not in output
