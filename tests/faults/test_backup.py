"""Backups of the embedded default: consistent under load, restored into an empty folder, damaged ones refused."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from app import backups
from app.backups import BackupProblem
from app.cli import main
from app.db.engine import Database
from app.db.migrations import upgrade
from app.db.models import Asset
from app.db.uow import Store
from app.domain.ids import new_id
from app.domain.jobs import JobKind
from app.integrations.files import Files, local_files
from app.services.jobs import delete_job
from app.services.uploads import receive_upload
from app.settings import Settings
from tests.support.factories import make_principal, submit_job
from tests.support.outside import RecordingOutside


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
async def running(settings: Settings) -> AsyncIterator[tuple[Store, Files]]:
    """Database and files of an installation in use."""
    settings.prepare_data_dir()
    database = Database(settings.database_dsn)
    await upgrade(database)
    bundle = settings.bundles_dir / "starter" / "1"
    bundle.mkdir(parents=True)
    (bundle / "card.json").write_text("{}")
    assert settings.signing_key
    yield Store(database, RecordingOutside()), local_files(settings.storage_dir)
    await database.close()


async def _submit(store: Store, files: Files, principal, number: int):
    async def content():
        yield b"ID3" + number.to_bytes(4, "big") * 2_000

    upload = await receive_upload(files, content(), name=f"{number}.mp3", limit_bytes=100_000)
    async with store.writing() as uow:
        return await submit_job(uow, principal, upload, JobKind.GENRE)


async def _use(store: Store, files: Files, stop: asyncio.Event) -> int:
    """Submit and delete for as long as the backup takes."""
    principal = await make_principal(store)
    jobs, number = [], 0
    while not stop.is_set():
        number += 1
        jobs.append(await _submit(store, files, principal, number))
        if number % 2 == 0:
            async with store.writing() as uow:
                keys = await delete_job(uow, principal, jobs.pop(0).id)
            for key in keys:
                await files.delete(key)
    return number


async def _all_assets_are_whole(data_dir: Path) -> int:
    restored = Settings(data_dir=data_dir)
    database = Database(restored.database_dsn)
    async with database.reading() as session:
        assets = (await session.scalars(select(Asset))).all()
    await database.close()
    for asset in assets:
        if asset.storage_key is not None:
            content = (restored.storage_dir / asset.storage_key).read_bytes()
            assert hashlib.sha256(content).hexdigest() == asset.sha256
    return len(assets)


async def test_a_backup_under_load_restores_to_a_whole_installation(settings, running, tmp_path):
    store, files = running
    principal = await make_principal(store, name="Ola")
    for number in range(60):
        await _submit(store, files, principal, 10_000 + number)
    stop = asyncio.Event()
    use = asyncio.create_task(_use(store, files, stop))
    for _ in range(4):  # the later ones bring the first up to date
        manifest = await asyncio.to_thread(backups.back_up, settings, tmp_path / "backup", lambda _done, _total: None)
    stop.set()
    assert await use > 0
    restored = Settings(data_dir=tmp_path / "restored")
    await asyncio.to_thread(backups.restore, restored, tmp_path / "backup", lambda _done, _total: None)
    assert manifest.jobs >= 60
    assert await _all_assets_are_whole(restored.data_dir) == manifest.jobs
    assert backups.damaged_audio(restored) == []
    assert restored.signing_key == settings.signing_key
    assert (restored.bundles_dir / "starter" / "1" / "card.json").exists()


@pytest.fixture
async def backup(settings, running, tmp_path) -> Path:
    store, files = running
    await _submit(store, files, await make_principal(store), 1)
    await asyncio.to_thread(backups.back_up, settings, tmp_path / "backup", lambda _done, _total: None)
    return tmp_path / "backup"


def _restore(backup: Path, target: Path) -> None:
    backups.restore(Settings(data_dir=target), backup, lambda _done, _total: None)


async def test_audio_that_was_deleted_meanwhile_is_not_named(settings, running, tmp_path):
    store, files = running
    job = await _submit(store, files, await make_principal(store), 1)
    await files.delete(f"audio/{job.asset.id}")
    backups.back_up(settings, tmp_path / "backup", lambda _done, _total: None)
    _restore(tmp_path / "backup", tmp_path / "restored")
    assert await _all_assets_are_whole(tmp_path / "restored") == 1


def test_a_data_folder_in_use_is_never_overwritten(backup, settings):
    with pytest.raises(BackupProblem, match="not empty"):
        _restore(backup, settings.data_dir)


@pytest.mark.parametrize("damage", ["database", "file", "manifest", "unfinished", "way out"])
def test_a_damaged_backup_is_refused_before_anything_is_written(backup, tmp_path, damage):
    manifest = backup / "manifest.json"
    if damage == "database":
        with (backup / "earmark.db").open("r+b") as file:
            file.seek(5_000)
            file.write(b"!!!!")
    elif damage == "file":
        shutil.rmtree(backup / "files")
    elif damage == "manifest":
        manifest.write_text("{")
    elif damage == "unfinished":
        manifest.unlink()
    else:
        manifest.write_text(manifest.read_text().replace('"files": {', '"files": {"../../etc/passwd": 1, '))
    with pytest.raises(BackupProblem):
        _restore(backup, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_other_servers_have_their_own_tools(tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("EARMARK_DATABASE_URL", f"postgresql+asyncpg://earmark@db/{new_id()}")
    result = CliRunner().invoke(main, ["backup", str(tmp_path / "backup")])
    assert result.exit_code == 1
    assert "docs/backup.md" in result.output
