"""What people decided, as a folder of labelled recordings."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import update

from app.db.models import Job
from app.db.uow import Store
from app.integrations.files import Files
from app.services.training_sets import export_reviews
from tests.support.factories import finish_job, make_job, make_principal


async def _decided(store: Store, files: Files, label: str | None, content: bytes | None) -> None:
    principal = await make_principal(store)
    job = await make_job(store, principal)
    await finish_job(store, job.id)
    async with store.writing() as uow:
        found = await uow.session.get_one(Job, job.id)
        found.label, found.asset.sha256 = label, (content or b"?").hex().ljust(64, "0")
        if content is None:
            found.asset.storage_key = None
    if content is not None:
        await files.put_bytes(found.asset.storage_key, content)


def _contents(folder: Path) -> dict[str, list[bytes]]:
    return {genre.name: [file.read_bytes() for file in sorted(genre.iterdir())] for genre in sorted(folder.iterdir())}


async def test_decided_recordings_are_sorted_into_folders(store: Store, files: Files, tmp_path: Path):
    await _decided(store, files, "opera", b"aria")
    await _decided(store, files, "solo", b"cello")
    await _decided(store, files, None, b"nobody decided")
    await _decided(store, files, "solo", None)
    folder = tmp_path / "set"
    exported = await export_reviews(store, files, folder)
    assert _contents(folder) == {"opera": [b"aria"], "solo": [b"cello"]}
    assert (exported.written, exported.gone) == (2, 1)


async def test_a_repeated_export_copies_nothing_and_follows_new_decisions(store: Store, files: Files, tmp_path: Path):
    await _decided(store, files, "opera", b"aria")
    await _decided(store, files, "solo", b"cello")
    folder = tmp_path / "set"
    await export_reviews(store, files, folder)
    async with store.writing() as uow:
        await uow.session.execute(update(Job).where(Job.label == "opera").values(label="solo"))
    again = await export_reviews(store, files, folder)
    assert (again.written, again.unchanged, again.moved) == (0, 1, 1)
    assert {name: sorted(found) for name, found in _contents(folder).items() if found} == {"solo": [b"aria", b"cello"]}
