"""Files in storage that no row knows: of uploads whose transaction failed, and of jobs deleted in mid-work."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import select

from app.db.models import Asset, Job
from app.db.uow import UnitOfWork
from app.domain.keys import AUDIO_PREFIX, SPECTROGRAM_PREFIX, spectrogram_key

PREFIXES = (AUDIO_PREFIX, SPECTROGRAM_PREFIX)


async def unknown_keys(uow: UnitOfWork, keys: Sequence[str]) -> list[str]:
    """Those of the keys that no asset and no job stands behind."""
    jobs = _jobs_by_key(keys)
    audio = await uow.session.scalars(select(Asset.storage_key).where(Asset.storage_key.in_(set(keys) - set(jobs))))
    spectrograms = await uow.session.scalars(select(Job.id).where(Job.id.in_(list(jobs.values()))))
    known = set(audio) | {spectrogram_key(job_id) for job_id in spectrograms}
    return [key for key in keys if key not in known]


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
