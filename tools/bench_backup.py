"""`make bench-backup`: how long backup and restore of 100,000 jobs take, embedded and with PostgreSQL, and how large they are.

Each recording has a file of a few kB: what is measured is the number of files, not the speed of the disks. PostgreSQL runs here
without waiting for its disk; a bucket is as fast as its network, so only the folder's side of it is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from app import backups
from app.db.engine import Database
from app.db.migrations import upgrade
from app.db.models import Asset
from app.domain.keys import AUDIO_PREFIX
from app.file_copies import load_files, save_files
from app.integrations.files import local_files
from app.settings import Settings
from tests.support.postgres import PostgresServer
from tools.bench_portal import fill

_CONTENT = b"ID3" + bytes(4_000)


def _quiet(_done: int, _total: int) -> None:
    return


@contextmanager
def _timed(what: str, size_bytes: Callable[[], int]) -> Iterator[None]:
    began_s = time.perf_counter()
    yield
    print(f"| {what} | {time.perf_counter() - began_s:.1f} | {size_bytes() / 1e6:,.0f} |", flush=True)


def _size_bytes(path: Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )


async def _filled(dsn: str, jobs: int) -> list[str]:
    """Jobs in the database, each with audio; returns the keys."""
    database = Database(dsn)
    await upgrade(database)
    await fill(database, jobs)
    async with database.reading() as session:
        keys = [key for key in await session.scalars(select(Asset.storage_key)) if key]
    await database.close()
    return keys


def _write_files(folder: Path, keys: list[str]) -> None:
    (folder / AUDIO_PREFIX).mkdir(parents=True)
    for key in keys:
        (folder / key).write_bytes(_CONTENT)


def _embedded(folder: Path, jobs: int) -> None:
    settings, restored = Settings(data_dir=folder / "data"), Settings(data_dir=folder / "restored")
    settings.prepare_data_dir()
    _write_files(settings.storage_dir, asyncio.run(_filled(settings.database_dsn, jobs)))
    backup = folder / "backup"
    with _timed("`earmark backup`, the first", lambda: _size_bytes(backup)):
        backups.back_up(settings, backup, _quiet)
    with _timed("`earmark backup`, again", lambda: _size_bytes(backup)):
        backups.back_up(settings, backup, _quiet)
    with _timed("`earmark restore`", lambda: _size_bytes(restored.data_dir)):
        backups.restore(restored, backup, _quiet)
    saved, storage = folder / "saved", local_files(settings.storage_dir)
    with _timed("`earmark files save`, the first", lambda: _size_bytes(saved)):
        asyncio.run(save_files(storage, saved, _quiet))
    with _timed("`earmark files save`, again", lambda: _size_bytes(saved)):
        asyncio.run(save_files(storage, saved, _quiet))
    with _timed("`earmark files load`", lambda: _size_bytes(folder / "loaded")):
        asyncio.run(load_files(local_files(folder / "loaded"), saved, _quiet))


def _postgresql(folder: Path, jobs: int) -> None:
    server = PostgresServer()
    server.start()
    try:
        asyncio.run(_filled(server.create_database("bench"), jobs))
        dump = folder / "earmark.dump"
        with _timed("`pg_dump --format=custom`", lambda: _size_bytes(dump)):
            server.dump("bench", dump)
        with _timed("`pg_restore`", lambda: _size_bytes(dump)):
            server.restore("restored", dump)
    finally:
        server.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    jobs = parser.parse_args().jobs
    print(
        f"{jobs:,} jobs, each with a recording of {len(_CONTENT):,} bytes\n\n| step | seconds | MB |\n|---|--:|--:|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        _postgresql(Path(folder), jobs)
        _embedded(Path(folder), jobs)


if __name__ == "__main__":
    main()
