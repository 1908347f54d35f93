"""The documented way to back up PostgreSQL and S3, walked from one pair of servers to another one."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database
from app.db.migrations import newest_revision, revision_of, upgrade
from app.db.models import Asset, AuditEntry
from app.db.uow import Store
from app.domain.ids import utc_now
from app.domain.jobs import JobKind
from app.file_copies import load_files, save_files
from app.integrations.files import Files, local_files, s3_files
from app.services import audit
from app.services.jobs import delete_job
from app.services.uploads import receive_upload
from tests.support.factories import ADMIN, finish_job, make_principal, submit_job
from tests.support.outside import RecordingOutside
from tests.support.postgres import PostgresServer
from tests.support.s3 import BUCKET, s3_server


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    with s3_server() as address:
        yield address


def _bucket(address: str, prefix: str) -> Files:
    return s3_files(
        f"s3://{BUCKET}/{prefix}", endpoint=address, region="us-east-1", access_key_id="k", secret_access_key="s"
    )


def _quiet(_done: int, _total: int) -> None:
    return


async def _submit(store: Store, files: Files, number: int):
    async def content():
        yield b"ID3" + number.to_bytes(4, "big") * 2_000

    una = await make_principal(store)
    upload = await receive_upload(files, content(), name=f"{number}.mp3", limit_bytes=100_000)
    async with store.writing() as uow:
        job = await submit_job(uow, una, upload, JobKind.GENRE)
    await finish_job(store, job.id)
    await files.put_bytes(f"spectrograms/{job.id}.png", b"picture")
    return job


async def _all_assets_are_whole(database: Database, files: Files) -> int:
    async with database.reading() as session:
        assets = (await session.scalars(sa.select(Asset))).all()
    for asset in assets:
        assert hashlib.sha256(await files.read(asset.storage_key)).hexdigest() == asset.sha256
    return len(assets)


async def test_another_pair_of_servers_takes_over(postgres: PostgresServer, s3_address: str, tmp_path: Path):
    old_bucket, new_bucket = _bucket(s3_address, "old"), _bucket(s3_address, "new")
    database = Database(await postgres.create_database_async("backup_old"))
    await upgrade(database)
    store = Store(database, RecordingOutside())
    jobs = [await _submit(store, old_bucket, number) for number in range(6)]
    async with store.writing() as uow:
        audit.record(uow, ADMIN, "batch.create")
    await asyncio.to_thread(postgres.dump, "backup_old", tmp_path / "earmark.dump")
    await _submit(store, old_bucket, 99)  # after the dump: its file will be an orphan
    await save_files(old_bucket, tmp_path / "files", _quiet)
    await database.close()

    await asyncio.to_thread(postgres.restore, "backup_new", tmp_path / "earmark.dump")
    loaded = await load_files(new_bucket, tmp_path / "files", _quiet)
    assert loaded.files == 14
    restored = Database(postgres.dsn("backup_new"))
    await upgrade(restored)
    assert await revision_of(restored) == newest_revision()
    assert await _all_assets_are_whole(restored, new_bucket) == len(jobs)
    with pytest.raises(DBAPIError, match="append-only"):
        async with restored.writing() as session:
            await session.execute(sa.delete(AuditEntry))
    await restored.close()


async def test_the_log_brings_back_a_moment(tmp_path: Path):
    server = PostgresServer()
    await asyncio.to_thread(server.start_archiving)
    try:
        files = local_files(tmp_path / "files")
        database = Database(await server.create_database_async("earmark"))
        await upgrade(database)
        store = Store(database, RecordingOutside())
        await _submit(store, files, 1)
        await asyncio.to_thread(server.base_backup)
        await _submit(store, files, 2)
        moment = utc_now()
        await _submit(store, files, 3)
        await database.close()
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start_at, moment)
        restored = Database(server.dsn("earmark"))
        async with restored.reading() as session:
            names = (await session.scalars(sa.select(Asset.name).order_by(Asset.id))).all()
        assert names == ["1.mp3", "2.mp3"]
        await _submit(Store(restored, RecordingOutside()), files, 4)
        await restored.close()
    finally:
        server.remove()


async def test_a_second_run_copies_what_is_new_and_drops_what_is_gone(
    sqlite_store: Store, s3_address: str, tmp_path: Path
):
    bucket, folder = _bucket(s3_address, "again"), tmp_path / "files"
    first = await _submit(sqlite_store, bucket, 1)
    assert (await save_files(bucket, folder, _quiet)).files == 2
    (folder / "audio" / ".half.unfinished").write_bytes(b"broken off")
    await _submit(sqlite_store, bucket, 2)
    async with sqlite_store.writing() as uow:
        keys = await delete_job(uow, ADMIN, first.id)
    for key in keys:
        await bucket.delete(key)
    copied = await save_files(bucket, folder, _quiet)
    assert (copied.files, copied.unchanged, copied.dropped) == (2, 0, 2)
    loaded = await load_files(bucket, folder, _quiet)
    assert (loaded.files, loaded.unchanged) == (0, 2)
    cut_off = next((folder / "audio").glob("[!.]*"))
    cut_off.write_bytes(b"ID3")
    assert (await save_files(bucket, folder, _quiet)).files == 1
    assert (
        hashlib.sha256(cut_off.read_bytes()).hexdigest()
        == hashlib.sha256(await bucket.read(f"audio/{cut_off.name}")).hexdigest()
    )


async def test_the_command_copies_a_storage(tmp_path: Path):
    await local_files(tmp_path / "data" / "files").put_bytes("audio/a", b"ID3" * 1000)
    environment = {"EARMARK_DATA_DIR": str(tmp_path / "data")}
    for target, said in (("backup", "1 files (0.00 GB) copied"), ("backup", "1 were there")):
        command = [sys.executable, "-m", "app.cli", "files", "save", str(tmp_path / target)]
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, check=False, timeout=50
        )
        assert (done.returncode, said in done.stdout) == (0, True), done.stdout + done.stderr
    assert (tmp_path / "backup" / "audio" / "a").read_bytes() == b"ID3" * 1000
