"""Files in storage that no row knows: of uploads whose transaction failed, and of jobs deleted in mid-work."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence

from sqlalchemy import select

from app.db.models import Asset, DirectUpload, Job
from app.db.uow import UnitOfWork
from app.domain.keys import AUDIO_PREFIX, PART_PREFIX, SPECTROGRAM_PREFIX, spectrogram_key

PREFIXES = (AUDIO_PREFIX, SPECTROGRAM_PREFIX, PART_PREFIX)


async def unknown_keys(uow: UnitOfWork, keys: Sequence[str]) -> list[str]:
    """Those of the keys that no asset, no job and no direct upload stands behind."""
    jobs = _jobs_by_key(keys)
    uploads = _uploads_by_key(keys)
    open_uploads = await uow.session.scalars(select(DirectUpload.id).where(DirectUpload.id.in_(set(uploads.values()))))
    being_sent = set(open_uploads)
    audio = await uow.session.scalars(select(Asset.storage_key).where(Asset.storage_key.in_(set(keys) - set(jobs))))
    spectrograms = await uow.session.scalars(select(Job.id).where(Job.id.in_(list(jobs.values()))))
    known = set(audio) | {spectrogram_key(job_id) for job_id in spectrograms}
    return [key for key in keys if key not in known and uploads.get(key) not in being_sent]


def _uploads_by_key(keys: Sequence[str]) -> dict[str, uuid.UUID]:
    """The direct upload that a key may belong to: as a part of it, or as the whole before a job has it."""
    uploads: dict[str, uuid.UUID] = {}
    for key in keys:
        prefix, _, rest = key.partition("/")
        if prefix in (PART_PREFIX, AUDIO_PREFIX):
            with contextlib.suppress(ValueError):
                uploads[key] = uuid.UUID(rest.partition("/")[0])
    return uploads


def _jobs_by_key(keys: Sequence[str]) -> dict[str, uuid.UUID]:
    """The job of each key that is a spectrogram's; a key of another form has none."""
    jobs: dict[str, uuid.UUID] = {}
    for key in keys:
        name = key.removeprefix(f"{SPECTROGRAM_PREFIX}/").removesuffix(".png")
        try:
            job_id = uuid.UUID(name)
        except ValueError:
            continue
        if spectrogram_key(job_id) == key:
            jobs[key] = job_id
    return jobs
