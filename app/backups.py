"""Backups of the embedded default: database, files, models and key of one data folder, as one consistent whole.

The database is read at one moment; files are copied after it. A file that was deleted in between is taken out of the copied
database too, and one that came in between is an orphan that the chores of the restored installation sweep up.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from app import __version__
from app.db.migrations import revisions
from app.domain.ids import utc_now
from app.settings import Settings

DATABASE = "earmark.db"
_MANIFEST = "manifest.json"
_FOLDERS = ("files", "models")
_KEY_FILE = "secret.key"

# Hears of each file: how many are done, and how many there are.
Report = Callable[[int, int], None]


class BackupProblem(Exception):
    """One sentence that says what is wrong and what to do."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Written last: a folder with it is a complete backup. ``files``: size of each file but the database, by its path."""

    version: str
    revision: str
    created_at: datetime
    database_sha256: str
    jobs: int
    files: dict[str, int]


def back_up(settings: Settings, folder: Path, report: Report) -> Manifest:
    """Copy the installation to ``folder``; a backup that lies there already is brought up to date.

    Raises:
        BackupProblem: the settings name other servers, or the folder can't be used.
    """
    _check_embedded(settings)
    source = settings.data_dir / DATABASE
    if not source.exists():
        raise BackupProblem(f"there is no database in {settings.data_dir}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / _MANIFEST).unlink(missing_ok=True)
    copy = folder / DATABASE
    _snapshot(source, copy)
    files = _copy_files(settings, folder, report)
    gone = _forget_missing(copy, folder)
    manifest = Manifest(
        version=__version__,
        revision=_scalar(copy, "SELECT version_num FROM alembic_version"),
        created_at=utc_now(),
        database_sha256=_sha256(copy),
        jobs=_scalar(copy, "SELECT count(*) FROM jobs"),
        files={path: size for path, size in files.items() if path not in gone},
    )
    _write(folder / _MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    return manifest


def restore(settings: Settings, folder: Path, report: Report) -> Manifest:
    """Bring a backup into an empty data folder, after a check that it is complete and undamaged.

    Raises:
        BackupProblem: it is not, or the data folder is in use.
    """
    _check_embedded(settings)
    manifest = _checked(folder)
    target = settings.data_dir
    if target.exists() and any(target.iterdir()):
        raise BackupProblem(f"{target} is not empty: name an empty folder in EARMARK_DATA_DIR")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for done, path in enumerate(manifest.files, start=1):
        _copy(folder / path, _inside(target, path))
        report(done, len(manifest.files))
    _copy(folder / DATABASE, target / DATABASE)  # last: without it, nothing there looks like an installation
    return manifest


def _check_embedded(settings: Settings) -> None:
    for name, value in (("DATABASE_URL", settings.database_url), ("STORAGE_URL", settings.storage_url)):
        if value is not None:
            raise BackupProblem(f"EARMARK_{name} is set: that server has its own tools, see docs/backup.md")


def _snapshot(source: Path, target: Path) -> None:
    """The database as it is at one moment; writers are not held up."""
    draft = target.with_suffix(".unfinished")
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as database:
        database.execute("VACUUM INTO ?", (str(draft),))
    draft.replace(target)


def _copy_files(settings: Settings, folder: Path, report: Report) -> dict[str, int]:
    sources = dict(_sources(settings))
    copied = {}
    for done, (path, source) in enumerate(sources.items(), start=1):
        try:
            copied[path] = _copy(source, folder / path)
        except FileNotFoundError:  # deleted a moment ago
            (folder / path).unlink(missing_ok=True)
        report(done, len(sources))
    _drop_others(folder, copied)
    return copied


def _sources(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Paths within the backup, and where they come from. Names that begin with a dot are unfinished."""
    for name, source in zip(_FOLDERS, (settings.storage_dir, settings.bundles_dir), strict=True):
        for path in sorted(source.rglob("*")):
            parts = path.relative_to(source).parts
            if path.is_file() and not any(part.startswith(".") for part in parts):
                yield "/".join((name, *parts)), path
    if (settings.data_dir / _KEY_FILE).exists():
        yield _KEY_FILE, settings.data_dir / _KEY_FILE


def _copy(source: Path, target: Path) -> int:
    """Copy unless it is there; returns the size in bytes. Stored files never change, so that name and size tell."""
    size_bytes = source.stat().st_size
    if not target.exists() or target.stat().st_size != size_bytes:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = target.with_name(f".{target.name}.unfinished")
        shutil.copy2(source, draft)
        draft.replace(target)
    return size_bytes


def _drop_others(folder: Path, wanted: dict[str, int]) -> None:
    """What an earlier backup in the same folder had and the installation has no more."""
    for name in _FOLDERS:
        for path in (folder / name).rglob("*"):
            if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
                path.unlink()


def _forget_missing(database: Path, folder: Path) -> set[str]:
    """Let the copied database not name audio that was deleted while the files were copied."""
    with closing(sqlite3.connect(database)) as connection, connection:
        keys = [key for (key,) in connection.execute("SELECT storage_key FROM assets WHERE storage_key IS NOT NULL")]
        missing = [key for key in keys if not (folder / "files" / key).exists()]
        connection.executemany(
            "UPDATE assets SET storage_key = NULL WHERE storage_key = ?", [(key,) for key in missing]
        )
    return {f"files/{key}" for key in missing}


def _checked(folder: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BackupProblem(f"{folder} holds no complete backup: {_MANIFEST} is missing") from None
    except msgspec.DecodeError as error:
        raise BackupProblem(f"{folder / _MANIFEST} is damaged: {error}") from error
    if manifest.revision not in revisions():
        raise BackupProblem(f"the backup is of Earmark {manifest.version}, which is newer than this one: install that")
    if _sha256(folder / DATABASE) != manifest.database_sha256:
        raise BackupProblem(f"{folder / DATABASE} is damaged: its checksum is not the one in {_MANIFEST}")
    for path, size_bytes in manifest.files.items():
        _check_file(folder, path, size_bytes)
    return manifest


def _check_file(folder: Path, path: str, size_bytes: int) -> None:
    file = _inside(folder, path)
    if not file.is_file() or file.stat().st_size != size_bytes:
        raise BackupProblem(f"{file} is missing or cut off")


def _inside(folder: Path, path: str) -> Path:
    """A manifest comes from outside: it may not name a path that leads out of the folder."""
    found = (folder / path).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise BackupProblem(f"{_MANIFEST} names a path outside of the backup: {path}")
    return found


def damaged_audio(settings: Settings) -> list[str]:
    """Keys of audio whose content is not what was uploaded, by its hash."""
    with closing(sqlite3.connect(f"file:{settings.data_dir / DATABASE}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT storage_key, sha256 FROM assets WHERE storage_key IS NOT NULL").fetchall()
    return [key for key, sha256 in rows if _sha256(settings.storage_dir / key) != sha256]


def _scalar(database: Path, query: str) -> Any:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchone()[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".unfinished")
    draft.write_bytes(content)
    draft.replace(path)
