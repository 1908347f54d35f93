"""``earmark retention`` says what would go and does it; the chores do it by themselves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from click.testing import CliRunner
from sqlalchemy import update

from app.cli import main
from app.db.models import Job
from app.domain.ids import utc_now
from tests.support.factories import finish_job, make_principal
from tests.support.installation import CHORES, Installation
from tests.support.waiting import wait_until


async def _old_recording(installation: Installation):
    store = installation.parts.store
    job_id = await installation.submit(await make_principal(store), b"ID3" + bytes(5000))
    await finish_job(store, job_id)
    async with store.writing() as uow:
        await uow.session.execute(update(Job).values(finished_at=utc_now() - timedelta(days=31)))
    return job_id


async def _retention(installation: Installation, *arguments: str) -> str:
    environment = {**installation.environment, "EARMARK_RETENTION_AUDIO_DAYS": "30"}
    done = await asyncio.to_thread(CliRunner().invoke, main, ["retention", *arguments], env=environment)
    assert done.exit_code == 0, done.output
    return done.output


async def test_a_dry_run_says_what_would_go_and_a_run_does_it(installation: Installation):
    job_id = await _old_recording(installation)
    for _ in range(2):
        assert "delete 1 recordings' audio" in await _retention(installation, "--dry-run")
    assert (await installation.job(job_id)).asset.kept
    assert "delete 1 recordings' audio" in await _retention(installation)
    assert not (await installation.job(job_id)).asset.kept
    assert "delete 0 recordings' audio" in await _retention(installation, "--dry-run")


def _files(installation: Installation) -> list[Path]:
    return [path for path in (installation.data_dir / "files").rglob("*") if path.is_file()]


async def test_the_chores_do_it(installation: Installation):
    job_id = await _old_recording(installation)
    with installation.process(CHORES, retention_audio_days="30"):
        job = await installation.wait_for(
            job_id, (await installation.job(job_id)).state, also=lambda job: not job.asset.kept
        )
        # First the row, then the file: one that is cut off in between leaves a file that the chores find later.
        await asyncio.to_thread(wait_until, lambda: not _files(installation), "the recording is still there")
    assert job.result is not None
