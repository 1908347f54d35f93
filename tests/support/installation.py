"""A whole installation in a folder: database, Valkey, files, and worker processes that a test may kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import func, select

from app.db.migrations import upgrade
from app.db.models import Event
from app.domain.ids import new_id
from app.domain.jobs import AnalysisScope, EventType, JobKind, JobState
from app.domain.keys import audio_key
from app.domain.media import Container
from app.domain.permissions import Principal
from app.domain.views import JobOut
from app.integrations.progress import Progress
from app.integrations.valkey import EmbeddedValkey
from app.resources import Resources, open_resources
from app.services.jobs import get_job
from app.services.uploads import StoredUpload
from app.services.workers import workers_status
from app.settings import Settings
from tests.support.factories import ADMIN, submit_job

ROOT = Path(__file__).resolve().parents[2]
STAND_IN_WORKER = [sys.executable, "-m", "tests.support.stand_in_worker"]
CHORES = [sys.executable, "-m", "app.cli", "chores"]


class Installation:
    """``data_dir`` holds all of it; processes find it by the environment."""

    def __init__(self, data_dir: Path, valkey: EmbeddedValkey, parts: Resources, progress: Progress) -> None:
        self.data_dir = data_dir
        self.valkey = valkey
        self.parts = parts
        self._progress = progress
        # A fixed precision: a self-check beside every worker of the tests would take their time.
        fixed = {"EARMARK_LEASE_S": "2", "EARMARK_PRECISION": "fp32"}
        self.environment: dict[str, str] = {"EARMARK_DATA_DIR": str(data_dir), **fixed}

    @contextmanager
    def process(self, command: list[str], **settings: str) -> Iterator[subprocess.Popen[str]]:
        """A process of this installation; killed at the end if it still runs."""
        extra = {f"EARMARK_{name.upper()}": value for name, value in settings.items()}
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **self.environment, **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    async def submit(
        self, principal: Principal, content: bytes, scope: AnalysisScope = AnalysisScope.START
    ) -> uuid.UUID:
        """What an upload does: the file to storage, the rows to the database, a ring."""
        asset_id = new_id()
        await self.parts.files.put_bytes(audio_key(asset_id), content)
        upload = StoredUpload(asset_id, "track.mp3", "a" * 64, len(content), Container.MP3)
        async with self.parts.store.writing() as uow:
            return (await submit_job(uow, principal, upload, JobKind.GENRE, scope=scope)).id

    async def job(self, job_id: uuid.UUID) -> JobOut:
        async with self.parts.store.reading() as uow:
            return await get_job(uow, ADMIN, job_id)

    async def wait_for(
        self,
        job_id: uuid.UUID,
        *states: JobState,
        timeout_s: float = 40,
        also: Callable[[JobOut], bool] = lambda _: True,
    ) -> JobOut:
        """Wait until the job is in one of the states."""
        with self._progress.subscribe() as changes:
            async with asyncio.timeout(timeout_s):
                while True:
                    job = await self.job(job_id)
                    if job.state in states and also(job):
                        return job
                    await changes.wait(0.5)

    async def wait_for_ready_worker(self) -> None:
        """Nothing tells of a worker's start but its row, so this asks again and again."""
        async with asyncio.timeout(30):
            while not await self._ready_workers():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def _ready_workers(self) -> int:
        async with self.parts.store.reading() as uow:
            return (await workers_status(uow)).ready

    async def events(self, job_id: uuid.UUID, kind: EventType) -> int:
        query = select(func.count()).where(Event.job_id == job_id, Event.type == kind)
        async with self.parts.store.reading() as uow:
            return await uow.session.scalar(query) or 0


@asynccontextmanager
async def open_installation(data_dir: Path) -> AsyncIterator[Installation]:
    """On SQLite, with a Valkey of its own; no process of it runs yet."""
    settings = Settings(data_dir=data_dir)
    settings.prepare_data_dir()
    valkey = EmbeddedValkey(data_dir)
    valkey.start()
    progress = Progress(valkey.url)
    await progress.start()
    async with open_resources(settings) as parts:
        await upgrade(parts.database)
        yield Installation(data_dir, valkey, parts, progress)
    await progress.close()
    valkey.stop()


async def ended(process: subprocess.Popen[str], *, timeout_s: float = 30) -> int:
    """Wait for the end of a process; returns its exit code."""
    return await asyncio.to_thread(process.wait, timeout_s)


async def stopped(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    """Send the signal and wait; returns exit code and output."""
    process.send_signal(number)
    output, _ = await asyncio.to_thread(process.communicate, timeout=30)
    return process.returncode, output
