"""Which sound stands for a genre."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.cli.set_up import make_examples
from app.db.models import AuditEntry, Batch, Job
from app.domain.genres import GENRE_IDS
from app.domain.guide import DESCRIPTIONS, USES
from app.domain.ids import new_id
from app.domain.keys import example_key
from app.domain.media import Container, sniff_container
from app.domain.permissions import Role
from app.errors import ExampleUnfit, GenreNotFound, JobNotFound
from app.services.genre_guide import choose_example, example_file, list_examples, reset_example
from app.services.jobs import delete_job
from tests.support.factories import finish_job, make_job, make_principal


async def _reviewed(store, principal, *, label="opera", private=False):
    job = await make_job(store, principal, "aria.mp3")
    await finish_job(store, job.id)
    async with store.writing() as uow:
        row = await uow.session.get_one(Job, job.id)
        row.label = label
        if private:
            row.batch_id = new_id()
            uow.session.add(Batch(id=row.batch_id, name="secret", private=True, user_id=principal.user_id))
    return job


async def test_a_reviewed_recording_becomes_the_example_and_can_be_taken_back(store):
    reviewer = await make_principal(store, Role.REVIEWER)
    job = await _reviewed(store, reviewer)
    async with store.writing() as uow:
        assert await choose_example(uow, reviewer, job.id) == "opera"
    async with store.reading() as uow:
        examples = await list_examples(uow)
        assert {genre: example.job_id for genre, example in examples.items()} == {"opera": job.id}
        assert (await example_file(uow, "opera")).name == "aria.mp3"
        assert (await example_file(uow, "solo")).key == example_key("solo")
    async with store.writing() as uow:
        await reset_example(uow, reviewer, "opera")
    async with store.reading() as uow:
        assert (await example_file(uow, "opera")).key == example_key("opera")
        actions = (await uow.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
    assert actions[-2:] == ["genre_example.choose", "genre_example.reset"]


async def test_another_choice_takes_the_place_of_the_first(store):
    reviewer = await make_principal(store, Role.REVIEWER)
    for _ in range(2):
        job = await _reviewed(store, reviewer)
        async with store.writing() as uow:
            await choose_example(uow, reviewer, job.id)
    async with store.reading() as uow:
        assert (await list_examples(uow))["opera"].job_id == job.id


async def test_a_deleted_recording_gives_the_synthesised_example_back(store):
    reviewer = await make_principal(store, Role.REVIEWER)
    job = await _reviewed(store, reviewer)
    async with store.writing() as uow:
        await choose_example(uow, reviewer, job.id)
    async with store.writing() as uow:
        await delete_job(uow, reviewer, job.id)
    async with store.reading() as uow:
        assert await list_examples(uow) == {}
        assert (await example_file(uow, "opera")).key == example_key("opera")


@pytest.mark.parametrize("trouble", [{"label": None}, {"label": "polka"}, {"private": True}])
async def test_only_what_everybody_may_hear_and_people_have_judged(sqlite_store, trouble):
    reviewer = await make_principal(sqlite_store, Role.REVIEWER)
    job = await _reviewed(sqlite_store, reviewer, **trouble)
    with pytest.raises(ExampleUnfit):
        async with sqlite_store.writing() as uow:
            await choose_example(uow, reviewer, job.id)


async def test_unknown_genres_and_recordings(sqlite_store):
    reviewer = await make_principal(sqlite_store, Role.REVIEWER)
    async with sqlite_store.writing() as uow:
        with pytest.raises(JobNotFound):
            await choose_example(uow, reviewer, new_id())
        with pytest.raises(GenreNotFound):
            await reset_example(uow, reviewer, "polka")
        with pytest.raises(GenreNotFound):
            await example_file(uow, "../secret")


async def test_every_genre_gets_a_sound_once(files):
    await make_examples(files)
    sounds = {genre: await files.read(example_key(genre)) for genre in GENRE_IDS}
    assert {sniff_container(sound) for sound in sounds.values()} == {Container.MP3}
    assert len(set(sounds.values())) == len(GENRE_IDS)
    await files.put_bytes(example_key("solo"), b"kept")
    await make_examples(files)
    assert await files.read(example_key("solo")) == b"kept"


def test_the_guide_names_every_genre():
    assert tuple(DESCRIPTIONS) == GENRE_IDS
    suits = {genre for uses in list(USES.values())[:2] for use in uses for genre in use.genres}
    assert suits <= set(GENRE_IDS)
