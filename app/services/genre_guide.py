"""What plays when somebody asks how a genre sounds: a reviewed recording, or until there is one the synthesised example."""

from __future__ import annotations

import uuid

from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload

from app.db.models import Asset, Batch, GenreExample, Job
from app.db.uow import UnitOfWork
from app.domain.genres import BY_ID
from app.domain.ids import utc_now
from app.domain.keys import example_key
from app.domain.media import Container
from app.domain.permissions import Principal
from app.domain.views import ExampleOut
from app.errors import ExampleUnfit, GenreNotFound
from app.services import audit
from app.services.jobs import StoredFile, get_job


def _check_genre(genre: str) -> None:
    if genre not in BY_ID:
        raise GenreNotFound(genre=genre)


async def list_examples(uow: UnitOfWork) -> dict[str, ExampleOut]:
    """The recordings that were chosen, by genre. A genre that is not there has the synthesised example."""
    query = (
        select(GenreExample.genre, Job.id, Asset.name, Asset.title, Asset.artist)
        .join(Job, Job.id == GenreExample.job_id)
        .join(Asset, Asset.id == Job.asset_id)
        .where(Asset.storage_key.is_not(None))
    )
    rows = await uow.session.execute(query)
    return {
        genre: ExampleOut(job_id=job_id, title=title or name, artist=artist)
        for genre, job_id, name, title, artist in rows
    }


async def example_file(uow: UnitOfWork, genre: str) -> StoredFile:
    """The sound to play for a genre.

    Raises:
        GenreNotFound
    """
    _check_genre(genre)
    query = (
        select(Asset, Job.id)
        .join(Job, Job.asset_id == Asset.id)
        .join(GenreExample, GenreExample.job_id == Job.id)
        .where(GenreExample.genre == genre)
    )
    asset, job_id = (await uow.session.execute(query)).one_or_none() or (None, None)
    if asset is None or asset.storage_key is None or asset.container is None:
        key = example_key(genre)
        return StoredFile(key, Container.MP3.media_type, f"{genre}.mp3", f'"{key}"')
    return StoredFile(asset.storage_key, asset.container.media_type, asset.name, f'"{asset.id.hex}"', job_id)


async def choose_example(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> str:
    """Make a recording the example of the genre that people have decided on; returns that genre.

    Everybody can then hear it, so it must not come from a private batch.

    Raises:
        JobNotFound, ExampleUnfit
    """
    await get_job(uow, principal, job_id)
    job = await uow.session.get_one(Job, job_id, options=[joinedload(Job.asset)])
    private = job.batch_id is not None and await uow.session.scalar(
        select(Batch.private).where(Batch.id == job.batch_id)
    )
    if job.label is None or job.label not in BY_ID or job.asset.storage_key is None or private:
        raise ExampleUnfit
    await uow.session.merge(GenreExample(genre=job.label, job_id=job.id, chosen_at=utc_now()))
    audit.record(
        uow, principal, "genre_example.choose", target_type="genre", target_id=job.label, details={"job": str(job_id)}
    )
    return job.label


async def reset_example(uow: UnitOfWork, principal: Principal, genre: str) -> None:
    """Go back to the synthesised example.

    Raises:
        GenreNotFound
    """
    _check_genre(genre)
    await uow.session.execute(delete(GenreExample).where(GenreExample.genre == genre))
    audit.record(uow, principal, "genre_example.reset", target_type="genre", target_id=genre)
