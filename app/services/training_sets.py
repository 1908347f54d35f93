"""What people have decided, as a folder of labelled recordings: the way from the reviews back to the model."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from app.db.models import Asset, Job
from app.db.uow import Store
from app.domain.genres import GENRE_IDS
from app.integrations.files import FileGone, Files

_PAGE = 500


@dataclass(slots=True)
class Exported:
    """How many recordings are in the folder now, and why others are not."""

    written: int = 0
    unchanged: int = 0
    moved: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class _Decided:
    job_id: uuid.UUID
    label: str
    file_name: str
    storage_key: str | None


async def export_reviews(store: Store, files: Files, folder: Path) -> Exported:
    """Copy each recording with a final label to ``folder/<genre id>/<content hash>.<container>``.

    The same content is written once, with the label decided last. A file appears complete, by a rename.
    """
    exported = Exported()
    async for page in _pages(store):
        for decided in page:
            await _export(files, folder, decided, exported)
    return exported


async def _pages(store: Store) -> AsyncIterator[list[_Decided]]:
    """In the order of submission, in short transactions: copying may take hours."""
    last = uuid.UUID(int=0)
    query = select(Job.id, Job.label, Asset.sha256, Asset.container, Asset.storage_key).join(Job.asset)
    query = query.where(Job.label.in_(GENRE_IDS)).order_by(Job.id).limit(_PAGE)
    while True:
        async with store.reading() as uow:
            rows = (await uow.session.execute(query.where(Job.id > last))).all()
        if not rows:
            return
        yield [_Decided(row.id, row.label or "", f"{row.sha256}.{row.container}", row.storage_key) for row in rows]
        last = rows[-1].id


async def _export(files: Files, folder: Path, decided: _Decided, exported: Exported) -> None:
    target = folder / decided.label / decided.file_name
    if target.exists():
        exported.unchanged += 1
    elif _move(folder, target):
        exported.moved += 1
    elif (content := await _content(files, decided.storage_key)) is None:
        exported.gone += 1
    else:
        _write(target, content)
        exported.written += 1


def _move(folder: Path, target: Path) -> bool:
    """Was it there under another label?"""
    elsewhere = next(folder.glob(f"*/{target.name}"), None)
    if elsewhere is None:
        return False
    target.parent.mkdir(exist_ok=True)
    elsewhere.replace(target)
    return True


async def _content(files: Files, storage_key: str | None) -> bytes | None:
    try:
        return await files.read(storage_key) if storage_key else None
    except FileGone:
        return None


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}")
    draft.write_bytes(content)
    draft.replace(target)
